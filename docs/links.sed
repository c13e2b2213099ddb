# SPDX-License-Identifier: MIT
# Links of documents as the pages of the reference have them. Headers, examples and the guide have
# pages there; the rest lies in the tree around build/docs/html.
s|](\.\./include/\(zbq[a-z.]*\))|](@ref \1)|g
s|](\.\./examples/\([a-z]*\)\.cpp)|](\1_8cpp-example.html)|g
s|\[\([^]]*\)](\.\./\([^)]*\))|<a href="../../../\2">\1</a>|g
/](guide\.md)/!s|\[\([^]]*\)](\([a-z-]*\.md[^)]*\))|<a href="../../../docs/\2">\1</a>|g
1s/^# Guide$/& {#guide}/
