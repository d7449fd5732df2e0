/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a guest's machine cannot be found out otherwise: how to switch it off, and where its
 * serial port is. The numbers are those of core/dev/power.h and core/dev/uart.h.
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
	}
}
