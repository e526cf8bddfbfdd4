# gcov's annotated sources to a summary of one folder; see coverage.sh. A line counts once, as run
# if any instance of it ran: a template has several, a header one per file that includes it, a
# source file one per program that compiles it.
$3 == "Source" {
    file = $4
    ours = sub("^.*/" folder "/", folder "/", file)
    next
}

!ours || NF < 3 { next }

{
    count = $1
    gsub(/[ *]/, "", count)
    line = $2 + 0
    if (count == "-" || count == "" || line == 0) { next }
    key = file SUBSEP line
    if (!(key in seen)) {
        seen[key] = 1
        lines[file]++
        last[file] = line > last[file] ? line : last[file]
    }
    if (count !~ /^[#=]/ && !(key in ran)) {
        ran[key] = 1
        done[file]++
    }
}

function share(part, whole) { return whole > 0 ? 100 * part / whole : 0 }

function show(name, part, whole) {
    return sprintf("%6.1f %% of %5d lines  %s", share(part, whole), whole, name)
}

END {
    printf "" > list
    for (file in lines) {
        parent = file
        sub(/[^\/]*$/, "", parent)
        folder_lines[parent] += lines[file]
        folder_done[parent] += done[file]
        all += lines[file]
        all_done += done[file]
        for (line = 1; line <= last[file]; line++) {
            if ((file, line) in seen && !((file, line) in ran)) {
                printf "%s:%d: not run\n", file, line > list
            }
        }
    }
    close(list)
    for (parent in folder_lines) {
        print show(parent, folder_done[parent], folder_lines[parent]) | "sort -k 6"
    }
    close("sort -k 6")
    print "the files with the smallest share:"
    for (file in lines) {
        print show(file, done[file], lines[file]) | "sort -n | head -n 10"
    }
    close("sort -n | head -n 10")
    printf "%.1f %% of %d lines of %s/ ran, at least %s %% should; the rest: %s\n",
        share(all_done, all), all, folder, least, list
    exit (share(all_done, all) < least + 0)
}
