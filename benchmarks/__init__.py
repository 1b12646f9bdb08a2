"""What `make bench` runs: each figure is measured now, beside what it is compared with."""
