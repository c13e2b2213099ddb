#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Frames of one GStreamer pipeline come to another.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

export GST_REGISTRY=$here/registry
for element in fdsrc fdsink videotestsrc rawvideoparse videoconvert; do
    if ! gst-inspect-1.0 --exists $element 2>/dev/null; then
        echo "skipped: gst-launch-1.0, or its element $element, is not installed"
        exit 77
    fi
done

frame=115200 # 320 times 240, and half as much again
gst-launch-1.0 -q videotestsrc num-buffers=50 ! video/x-raw,format=I420,width=320,height=240 ! \
    fdsink >frames
[ "$(stat -c %s frames)" -eq $((50 * frame)) ] || fail "not 50 frames"
"$zbq" pub --quiet --chunks $frame --wait-for 1 --input frames camera 2>pub.err &
pub=$!
"$zbq" sub --wait --raw camera 2>sub.err |
    gst-launch-1.0 -q fdsrc blocksize=$frame ! rawvideoparse format=i420 width=320 height=240 ! \
        videoconvert ! video/x-raw,format=I420 ! fdsink >shown
ended $pub 0
same frames shown
