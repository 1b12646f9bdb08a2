#!/bin/sh
# What `make run` does: `plotindex run` on a root and, when there is nothing in it, the examples drawing into it.
# usage: run.sh BIN ROOT
bin=$1
root=$2
if [ -z "$(ls -A "$root")" ]; then
    echo "$root is empty: the examples draw into it for the next minutes."
    # After the service is up, so that the plots can be seen arriving.
    (sleep 3 && PYTHONPATH="$(dirname "$0")/.." exec "$bin/python" -m examples.draw "$root" >/dev/null) &
fi
"$bin/plotindex" run --root "$root" --access-log off
