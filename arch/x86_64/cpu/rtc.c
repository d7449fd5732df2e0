/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's real-time clock
 *
 * Documents: Motorola MC146818A data sheet
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/platform.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

enum {
	RTC_SECONDS = 0x00,
	RTC_MINUTES = 0x02,
	RTC_HOURS = 0x04,
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_STATUS_A = 0x0a,
	RTC_STATUS_B = 0x0b,
};

#define STATUS_A_UPDATING 0x80
#define STATUS_B_24_HOURS 0x02
#define STATUS_B_BINARY	  0x04
#define HOURS_PM	  0x80
#define SPIN_MAX	  100000u /* an update takes 2 ms; an absent clock never ends one */
#define TRIES		  5u

struct rtc_time {
	uint8_t seconds, minutes, hours, day, month, year;
};

static uint8_t cmos_read(uint8_t index)
{
	port_write8(CMOS_INDEX, index);
	return port_read8(CMOS_DATA);
}

static struct rtc_time read_fields(void)
{
	for (uint32_t i = 0; i < SPIN_MAX && cmos_read(RTC_STATUS_A) & STATUS_A_UPDATING; i++)
		cpu_pause();
	return (struct rtc_time){
		.seconds = cmos_read(RTC_SECONDS),
		.minutes = cmos_read(RTC_MINUTES),
		.hours = cmos_read(RTC_HOURS),
		.day = cmos_read(RTC_DAY),
		.month = cmos_read(RTC_MONTH),
		.year = cmos_read(RTC_YEAR),
	};
}

static uint8_t from_bcd(uint8_t value)
{
	return (uint8_t)((value >> 4) * 10 + (value & 0xf));
}

/* Days from 1970-01-01 in the Gregorian calendar; months count from March to end in February. */
static uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day)
{
	if (month <= 2) {
		month += 12;
		year--;
	}
	return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day -
	       1 - 719468;
}

uint64_t platform_wallclock(void)
{
	struct rtc_time t = read_fields(), again;
	uint8_t status = cmos_read(RTC_STATUS_B);
	uint8_t pm;

	/* Two equal readings: no update came between the fields. */
	for (uint32_t i = 0; i < TRIES; i++) {
		again = read_fields();
		if (again.seconds == t.seconds && again.minutes == t.minutes &&
		    again.hours == t.hours && again.day == t.day)
			break;
		t = again;
	}
	pm = t.hours & HOURS_PM;
	t.hours &= (uint8_t)~HOURS_PM;
	if (!(status & STATUS_B_BINARY)) {
		t.seconds = from_bcd(t.seconds);
		t.minutes = from_bcd(t.minutes);
		t.hours = from_bcd(t.hours);
		t.day = from_bcd(t.day);
		t.month = from_bcd(t.month);
		t.year = from_bcd(t.year);
	}
	if (!(status & STATUS_B_24_HOURS))
		t.hours = (uint8_t)(t.hours % 12 + (pm ? 12 : 0));

	/* Two digits of the year: this century's, as the ACPI century byte is rarely right. */
	return days_since_1970(2000u + t.year, t.month, t.day) * 86400 + t.hours * 3600ul +
	       t.minutes * 60ul + t.seconds;
}
