# SPDX-License-Identifier: MIT
# The examples in headers' comments and in documents, each as a function. In a comment one is
# indented by four blanks after an empty line, as Markdown has it.
function begin(line) {
    printf "[[maybe_unused]] static void example_%d() {\n#line %d \"%s\"\n", NR, line, FILENAME
    is_inside = 1
}
function finish() {
    if (is_inside) {
        print "}"
    }
    is_inside = 0
}
FNR == 1 { finish(); is_document = FILENAME ~ /\.md$/; was_empty = 0 }

is_document && /^```cpp$/ { begin(FNR + 1); next }
is_document && /^```$/ { finish(); next }
is_document { if (is_inside) print; next }

match($0, /^ *\/\/\/     /) && (is_inside || was_empty) {
    if (!is_inside) {
        begin(FNR)
    }
    print substr($0, RLENGTH + 1)
    next
}
{ was_empty = /^ *\/\/\/$/ }
was_empty { if (is_inside) print ""; next }
{ finish() }
END { finish() }
