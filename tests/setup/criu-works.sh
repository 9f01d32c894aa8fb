#!/bin/sh
# Exit 0 when DIR/bin/criu (DIR is named after its version) runs and says that version.
[ "$("$1/bin/criu" --version 2>/dev/null | sed -n 's/^Version: //p')" = "$(basename "$1")" ]
