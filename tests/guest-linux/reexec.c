/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reexec - go over into another kernel at once, by kexec: no process, no driver is stopped before
 *
 *   reexec KERNEL INITRD COMMAND-LINE   loads it
 *   reexec                              starts what was loaded
 *
 * Runs on the guest. Exit status 1, with a line that says why, when it fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	printf("reexec: %s: %s\n", what, strerror(errno));
	return 1;
}

static int load(const char *kernel_path, const char *initrd_path, const char *cmdline)
{
	int kernel = open(kernel_path, O_RDONLY), initrd = open(initrd_path, O_RDONLY);

	if (kernel < 0 || initrd < 0)
		return fail("open");
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(cmdline) + 1, cmdline, 0ul))
		return fail("kexec_file_load");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4)
		return load(argv[1], argv[2], argv[3]);
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	return fail("kexec");
}
