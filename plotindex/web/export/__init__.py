"""Take plots along: as one archive, or as a folder of pages that opens without a server."""
