# Rules for every text file of the project, whatever its language. Called by tidy.sh with paths
# relative to the repository root; prints "path:line: rule: what is wrong".

BEGIN {
    while ((getline line < exempt_file) > 0) {
        if (split(line, field, " ") >= 2 && line !~ /^#/) { exempt[field[1], field[2]] = 1 }
    }
}

function report(rule, message) {
    if (!((rule, FILENAME) in exempt)) { print FILENAME ":" FNR ": " rule ": " message }
}

{
    columns = $0
    gsub(/[\200-\277]/, "", columns) # UTF-8 continuation bytes take no column
    if (length(columns) > 100 && FILENAME !~ /\.md$/) {
        report("line-length", length(columns) " columns, at most 100")
    }
}

/\r$/ { report("line-end", "carriage return") }
/[ \t]$/ { report("trailing-space", "space at the end of the line") }
/\t/ && FILENAME !~ /(^|\/)Makefile$/ { report("tab", "indent with 4 spaces") }

# The brackets keep these patterns from finding themselves.
/(^|[^A-Za-z])(TOD[O]|FIXM[E]|XX[X])([^A-Za-z]|$)/ && !/(TOD[O]|FIXM[E])\([^)]+\)/ {
    report("open-end", "finish it, or write down where it is followed up: TOD" "O(reference)")
}
/\/wor[k]\/|\/op[t]\/[a-z]|\/hom[e]\/|\/roo[t]\/|\/tm[p]\/build/ {
    report("machine-path", "a path that only exists on somebody's machine")
}
/[Ii]ssu[e] #[0-9]|[Tt]his issu[e]|CI machiner[y]|workplac[e]/ {
    report("inside-talk", "says nothing to a reader who was not there")
}
