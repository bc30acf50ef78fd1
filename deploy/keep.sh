#!/bin/sh
# keep.sh COMMAND …: start it again when it ends by itself. Three ends within ten seconds of their starts are no accident: then this ends
# too, with its code. SIGTERM and Ctrl-C reach the command as well, which is in the same process group.
stopped='' quick=0
trap 'stopped=yes' TERM INT
while :; do
	began=$(date +%s)
	"$@"
	code=$?
	[ -n "$stopped" ] && exit "$code"
	if [ $(($(date +%s) - began)) -lt 10 ]; then quick=$((quick + 1)); else quick=0; fi
	[ "$quick" -ge 3 ] && exit "$code"
	echo "labelsweep: '$1 $2 $3' ended with code $code; it is started again" >&2
	sleep 1
done
