/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a guest's machine cannot be found out otherwise: how to switch it off, and where its
 * serial port and virtio devices are. The numbers are those of core/dev/power.h, core/dev/uart.h,
 * core/dev/virtio.h and core/vm/balloon.h.
 */
DefinitionBlock ("", "DSDT", 2, "TIDEPL", "TIDEPOOL", 1)
{
	/* The sleep type that the sleep control register wants for "soft off". */
	Name (_S5, Package () {5, 0, 0, 0})

	Scope (_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501")) /* 16550A */
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x3f8, 0x3f8, 1, 8)
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) {4}
			})
		}

		/*
		 * Tidepool itself: what the guest's driver loads by, and the interrupt that says that
		 * the hypervisor wants the guest to have more or less memory (core/vm/balloon.h).
		 */
		Device (TDPL)
		{
			Name (_HID, "TDPL0001")
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) {10}
			})
		}

		/*
		 * Places for virtio devices (core/dev/virtio.h): slot N has the page at
		 * 0xd0000000 + N * 0x1000 and the interrupt 16 + N. All are announced: where no device
		 * is, the registers say so, in virtio's own way (VIRTIO 1.1 section 4.2.2, DeviceID 0).
		 * Looking at the registers here would map them in a way that the driver's mapping, of
		 * uncached memory, conflicts with.
		 */
		Device (VIO0)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0000000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {16}
			})
		}

		Device (VIO1)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0001000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {17}
			})
		}

		Device (VIO2)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 2)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0002000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {18}
			})
		}

		Device (VIO3)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 3)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0003000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {19}
			})
		}

		Device (VIO4)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 4)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0004000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {20}
			})
		}

		Device (VIO5)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 5)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0005000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {21}
			})
		}

		Device (VIO6)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 6)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0006000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {22}
			})
		}

		Device (VIO7)
		{
			Name (_HID, "LNRO0005")
			Name (_UID, 7)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xd0007000, 0x1000)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) {23}
			})
		}
	}
}
