#!/bin/sh
# A notifier for kugetsu in POSIX shell, with `flock` of util-linux: keeps each notice as a line of the
# file that it is given, once.
#
#     [notify.file]
#     kind = "command"
#     program = ["/path/to/notify.sh", "/home/me/notices.jsonl"]
#
# `kugetsu backend check --kind notifier -- ./notify.sh {file}` shows that it keeps every promise.
set -eu
LC_ALL=C
export LC_ALL

file=${1:?usage: notify.sh FILE}

# A notice is one line of JSON. What stands in a text of it is escaped, so that the key is found without
# reading JSON.
notice=$(cat)
case $notice in
    '{'*'"key":"'*'}') ;;
    *)
        echo "this is no notice" >&2
        exit 65 # never to be tried again
        ;;
esac
key=${notice#*'"key":"'}
key=${key%%'"'*}

# One at a time. The kernel lets go of the lock whatever becomes of us.
exec 9>>"$file"
flock 9

# After a crash the same notice may come again. A line that a crash has cut does not count.
if grep -F "\"key\":\"$key\"" "$file" | grep -q '}$'; then
    exit 0
fi
# Behind a line that was cut begins another one.
if [ -n "$(tail -c 1 "$file")" ]; then
    echo >&9
fi
printf '%s\n' "$notice" >&9
