/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsctl - what a file system or md can do, asked of the kernel without the tools that come with it
 *
 *   fsctl resize FOLDER BLOCKS     make the mounted ext4 larger, as resize2fs does
 *   fsctl verity FILE              seal a file (fs-verity), and see that it cannot be written
 *   fsctl encrypt FOLDER           encrypt what will be in the empty folder, with a key of zeros
 *   fsctl quota DEVICE FILE        write a file as a user who may have 1 MiB, until it is used up
 *   fsctl mirror MD DISK DISK      two disks as one (RAID 1, no superblocks); MD is made anew
 *   fsctl unmirror MD
 *
 * Runs on the guest. Exit status 0, or 1 with a line that says what failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fscrypt.h>
#include <linux/fsverity.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK_SIZE     4096u
#define EXT4_RESIZE_FS _IOW('f', 16, uint64_t) /* in no header for programs */
#define QUOTA_USER     1000
#define QUOTA_KIB      1024u
#define QUOTA_FORMAT   4 /* QFMT_VFS_V1 */

static _Noreturn void die(const char *what)
{
	printf("fsctl: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(bool good, const char *what)
{
	if (!good)
		die(what);
}

static int open_path(const char *path, int flags)
{
	int file = open(path, flags, 0600);

	check(file >= 0, path);
	return file;
}

static void do_resize(char **paths)
{
	uint64_t blocks = strtoull(paths[1], NULL, 10);

	check(!ioctl(open_path(paths[0], O_RDONLY), EXT4_RESIZE_FS, &blocks), "EXT4_IOC_RESIZE_FS");
}

static void do_verity(char **paths)
{
	struct fsverity_enable_arg seal = {
		.version = 1,
		.hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
		.block_size = BLOCK_SIZE,
	};

	check(!ioctl(open_path(paths[0], O_RDONLY), FS_IOC_ENABLE_VERITY, &seal),
	      "FS_IOC_ENABLE_VERITY");
	check(open(paths[0], O_RDWR) < 0, "a sealed file can be written");
}

static void do_encrypt(char **paths)
{
	struct {
		struct fscrypt_add_key_arg head;
		uint8_t raw[64];
	} key = {
		.head.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER,
		.head.raw_size = sizeof(key.raw),
	};
	struct fscrypt_policy_v2 policy = {
		.version = FSCRYPT_POLICY_V2,
		.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
		.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
		.flags = FSCRYPT_POLICY_FLAGS_PAD_32,
	};
	int folder = open_path(paths[0], O_RDONLY);

	check(!ioctl(folder, FS_IOC_ADD_ENCRYPTION_KEY, &key), "FS_IOC_ADD_ENCRYPTION_KEY");
	memcpy(policy.master_key_identifier, key.head.key_spec.u.identifier,
	       sizeof(policy.master_key_identifier));
	check(!ioctl(folder, FS_IOC_SET_ENCRYPTION_POLICY, &policy),
	      "FS_IOC_SET_ENCRYPTION_POLICY");
}

/* The user: all that may be written, and not a block more. */
static _Noreturn void use_quota(int file)
{
	char block[BLOCK_SIZE];
	unsigned int kib = 0;
	ssize_t wrote;

	check(!setuid(QUOTA_USER), "setuid");
	memset(block, 'q', sizeof(block));
	while ((wrote = write(file, block, sizeof(block))) == sizeof(block) && kib <= QUOTA_KIB)
		kib += BLOCK_SIZE / 1024;
	check(wrote < 0 && errno == EDQUOT, "more was written than the user may have");
	check(kib > QUOTA_KIB / 2, "the user could write too little");
	exit(0);
}

static void do_quota(char **paths)
{
	struct dqblk limits = {
		.dqb_bhardlimit = QUOTA_KIB,
		.dqb_bsoftlimit = QUOTA_KIB,
		.dqb_valid = QIF_BLIMITS,
	};
	int file = open_path(paths[1], O_RDWR | O_CREAT | O_TRUNC);
	int status;

	/* Counted it is already; the limits are not kept without this. */
	check(!quotactl(QCMD(Q_QUOTAON, USRQUOTA), paths[0], QUOTA_FORMAT, paths[1]), "Q_QUOTAON");
	check(!quotactl(QCMD(Q_SETQUOTA, USRQUOTA), paths[0], QUOTA_USER, (void *)&limits),
	      "Q_SETQUOTA");
	check(!fchown(file, QUOTA_USER, QUOTA_USER), "chown");
	if (!fork())
		use_quota(file);
	check(wait(&status) > 0 && !status, "the user");
}

static void do_mirror(char **paths)
{
	mdu_array_info_t array = {
		.major_version = 0,
		.minor_version = 90,
		.level = 1,
		.nr_disks = 2,
		.raid_disks = 2,
		.not_persistent = 1,
		.state = 1 << MD_SB_CLEAN,
		.active_disks = 2,
		.working_disks = 2,
	};
	int md;

	check(!mknod(paths[0], S_IFBLK | 0600, makedev(MD_MAJOR, 0)), paths[0]);
	md = open_path(paths[0], O_RDWR);
	check(!ioctl(md, SET_ARRAY_INFO, &array), "SET_ARRAY_INFO");
	for (int i = 0; i < 2; i++) {
		mdu_disk_info_t disk = {.number = i, .raid_disk = i};
		struct stat stat;

		check(!fstat(open_path(paths[1 + i], O_RDONLY), &stat), paths[1 + i]);
		disk.major = (int)major(stat.st_rdev);
		disk.minor = (int)minor(stat.st_rdev);
		disk.state = 1 << MD_DISK_SYNC | 1 << MD_DISK_ACTIVE;
		check(!ioctl(md, ADD_NEW_DISK, &disk), "ADD_NEW_DISK");
	}
	check(!ioctl(md, RUN_ARRAY, NULL), "RUN_ARRAY");
}

static void do_unmirror(char **paths)
{
	check(!ioctl(open_path(paths[0], O_RDONLY), STOP_ARRAY, NULL), "STOP_ARRAY");
}

static const struct {
	const char *name;
	int paths;
	void (*run)(char **paths);
} commands[] = {
	{"resize", 2, do_resize}, {"verity", 1, do_verity}, {"encrypt", 1, do_encrypt},
	{"quota", 2, do_quota},	  {"mirror", 3, do_mirror}, {"unmirror", 1, do_unmirror},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (argc < 2 || strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (argc != 2 + commands[i].paths)
			break;
		commands[i].run(argv + 2);
		return 0;
	}
	puts("fsctl: no such command, or not its arguments");
	return 1;
}
