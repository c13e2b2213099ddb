# SPDX-License-Identifier: MIT
# The names that somebody publishes now: sockets that listen in the user's directory, or by an
# abstract name. -v uid=UID; reads /proc/net/unix. Stands in the completions of each shell, so it
# has no apostrophe. A socket keeps the path that it was bound to, .NAME.new.
function named(file) {
    return file ~ /^\..*\.new$/ ? substr(file, 2, length(file) - 5) : file
}
BEGIN {
    runtime = ENVIRON["XDG_RUNTIME_DIR"]
    first = (runtime != "" ? runtime : "/run/user/" uid) "/zbq/"
    second = runtime != "" ? first : "/tmp/zbq-" uid "/"
}
$4 == "00010000" && $5 == "0005" {
    path = substr($0, index($0, $8))
    if (index(path, first) == 1) print named(substr(path, length(first) + 1))
    else if (index(path, second) == 1) print named(substr(path, length(second) + 1))
    else if (path ~ /^@/) print path
}
