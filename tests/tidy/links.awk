# Dead links in Markdown: files and anchors that links name, and paths in code spans that look like
# files of this repository. Called by tidy.sh with paths relative to the repository root; prints
# "path:line: rule: what is wrong". Links to other sites are not followed.

function report(rule, message) { print FILENAME ":" FNR ": " rule ": " message }

function exists(path) {
    sub(/\/$/, "", path)
    if (path == "" || path == ".") { return 1 }
    return system("test -e '" path "'") == 0
}

# a/b/../c -> a/c
function normal(path,    list, n, i, out) {
    n = split(path, list, "/")
    out = ""
    for (i = 1; i <= n; i++) {
        if (list[i] == "" || list[i] == ".") { continue }
        if (list[i] == "..") {
            if (!sub(/\/?[^\/]+$/, "", out)) { return "../outside" }
        } else {
            out = out (out == "" ? "" : "/") list[i]
        }
    }
    return out
}

# GitHub's name for a heading.
function slug(heading) {
    sub(/^#+[ \t]*/, "", heading)
    sub(/[ \t#]*$/, "", heading)
    gsub(/\]\([^)]*\)/, "", heading)
    gsub(/[^A-Za-z0-9_ \200-\377-]/, "", heading)
    gsub(/ /, "-", heading)
    return tolower(heading)
}

function read_anchors(file,    line, fenced, name, seen) {
    if (file in read) { return }
    read[file] = 1
    while ((getline line < file) > 0) {
        if (line ~ /^ *```/) { fenced = !fenced }
        if (!fenced && line ~ /^#+[ \t]/) {
            name = slug(line)
            seen = count[file, name]++
            anchor[file, seen ? name "-" seen : name] = 1
        }
        while (match(line, /(id|name)="[^"]+"/)) {
            name = substr(line, RSTART, RLENGTH)
            line = substr(line, RSTART + RLENGTH)
            gsub(/^[a-z]+="|"$/, "", name)
            anchor[file, name] = 1
        }
    }
    close(file)
}

function check_link(target,    file, name, folder) {
    gsub(/^<|>$/, "", target)
    if (target ~ /^[a-z][a-z0-9+.-]*:/ || target == "") { return }
    name = file = target
    if (!sub(/^[^#]*#/, "", name)) { name = "" }
    sub(/#.*/, "", file)
    folder = FILENAME
    if (!sub(/\/[^\/]*$/, "", folder)) { folder = "" }
    file = file == "" ? FILENAME : normal(file ~ /^\// ? file : folder "/" file)
    if (!exists(file)) { report("dead-link", target ": no such file"); return }
    if (name == "" || file !~ /\.md$/) { return }
    read_anchors(file)
    if (!((file, name) in anchor)) { report("dead-link", target ": no such heading") }
}

function check_links(line,    target) {
    while (match(line, /\]\([^) ]+/)) { # [text](target "title")
        target = substr(line, RSTART + 2, RLENGTH - 2)
        line = substr(line, RSTART + RLENGTH)
        check_link(target)
    }
}

function check_attributes(line,    target) {
    while (match(line, /(src|href)="[^"]+"/)) {
        target = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        gsub(/^[a-z]+="|"$/, "", target)
        check_link(target)
    }
}

function check_spans(line,    span) {
    while (match(line, /`[^`]+`/)) {
        span = substr(line, RSTART + 1, RLENGTH - 2)
        line = substr(line, RSTART + RLENGTH)
        if (span ~ /^(host|include|kernels|tests|cmake|bench|\.ci)\/[A-Za-z0-9_.\/-]+$/ &&
            !exists(span)) {
            report("dead-path", span ": no such file")
        }
    }
}

FNR == 1 { fenced = 0 }
/^ *```/ { fenced = !fenced; next }
fenced { next }

{
    check_spans($0)
    plain = $0
    gsub(/`[^`]*`/, "``", plain) # a link inside a code span is an example
    check_links(plain)
    check_attributes(plain)
    if (match(plain, /^ *\[[^]]+\]: */)) { # [name]: target
        target = substr(plain, RSTART + RLENGTH)
        sub(/ .*/, "", target)
        check_link(target)
    }
}
