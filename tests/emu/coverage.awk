# gcov's annotated sources to a summary of kernels/; see coverage.sh. A line counts as run if any
# instance of it ran.
$3 == "Source" {
    file = $4
    ours = sub(/^.*\/kernels\//, "kernels/", file)
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

END {
    for (file in lines) {
        all += lines[file]
        all_done += done[file]
        share = 100 * done[file] / lines[file]
        printf("%6.1f %% of %4d lines  %s\n", share, lines[file], file) | "sort -k 6"
    }
    close("sort -k 6")
    for (file in lines) {
        for (line = 1; line <= last[file]; line++) {
            if ((file, line) in seen && !((file, line) in ran)) { print file ":" line ": not run" }
        }
    }
    percent = all > 0 ? 100 * all_done / all : 0
    printf "%.1f %% of %d lines of kernels/ ran, at least %s %% should\n", percent, all, least
    exit (percent < least)
}
