/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmctl - make and remove a device-mapper device of one target, as dmsetup does
 *
 *   dmctl create NAME SECTORS TARGET [ARGUMENTS]
 *   dmctl reload NAME SECTORS TARGET [ARGUMENTS]     another target for it
 *   dmctl remove NAME
 *   dmctl status NAME                                what the target says of itself
 *
 * Runs on the guest. Exit status 0, or 1 with a line that says what failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static union {
	struct dm_ioctl head;
	uint8_t bytes[16384];
} request;

static void call(int control, const char *name, unsigned long command)
{
	request.head.version[0] = DM_VERSION_MAJOR;
	request.head.data_size = sizeof(request);
	request.head.data_start = sizeof(request.head);
	snprintf(request.head.name, sizeof(request.head.name), "%s", name);
	if (ioctl(control, command, &request)) {
		printf("dmctl: %s: %s\n", name, strerror(errno));
		exit(1);
	}
}

static void load(int control, const char *name, const char *sectors, const char *target,
		 const char *arguments)
{
	struct dm_target_spec *spec = (void *)(request.bytes + sizeof(request.head));

	memset(&request, 0, sizeof(request));
	request.head.target_count = 1;
	spec->length = strtoull(sectors, NULL, 10);
	snprintf(spec->target_type, sizeof(spec->target_type), "%s", target);
	strncpy((char *)(spec + 1), arguments, 1024);
	call(control, name, DM_TABLE_LOAD);
}

static void print_status(int control, const char *name)
{
	struct dm_target_spec *spec = (void *)(request.bytes + sizeof(request.head));

	call(control, name, DM_TABLE_STATUS);
	puts((const char *)(spec + 1));
}

int main(int argc, char **argv)
{
	int control = open("/dev/mapper/control", O_RDWR);

	if (control < 0 || argc < 3) {
		puts("dmctl: no /dev/mapper/control, or no arguments");
		return 1;
	}
	if (!strcmp(argv[1], "remove")) {
		call(control, argv[2], DM_DEV_REMOVE);
		return 0;
	}
	if (!strcmp(argv[1], "status")) {
		print_status(control, argv[2]);
		return 0;
	}
	if (argc < 5)
		return 1;
	if (strcmp(argv[1], "reload"))
		call(control, argv[2], DM_DEV_CREATE);
	load(control, argv[2], argv[3], argv[4], argc > 5 ? argv[5] : "");
	memset(&request, 0, sizeof(request));
	call(control, argv[2], DM_DEV_SUSPEND); /* without the flag: resume */
	return 0;
}
