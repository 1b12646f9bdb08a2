#!/bin/sh
# Install what some tests need beyond Python, from Debian's packages: a browser (chromium-headless-shell), a proxy
# (nginx), and what judges units (systemd-analyze, of systemd).
# Where that cannot be done, those tests are skipped, and each says so: this never fails.
missing() {
    for program in chromium-headless-shell nginx systemd-analyze; do
        command -v "$program" >/dev/null || printf ' %s' "${program%-analyze}"
    done
}

install() {
    # RUNLEVEL=1: no package's service is started.
    # shellcheck disable=SC2046 # a word for each program
    $become env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(missing)
}

PATH=$PATH:/usr/sbin:/sbin
[ -n "$(missing)" ] || exit 0
become=
[ "$(id -u)" = 0 ] || become="sudo -n"
if command -v apt-get && $become true; then
    install || { $become apt-get update && install; }
fi >/dev/null 2>&1
# What counts is whether the programs are there: a package may be complete but for its service.
[ -z "$(missing)" ] || echo "The tests that need$(missing) will be skipped: install what is missing by hand." >&2
exit 0
