# Rules for C and CUDA sources that need to know code from comments and strings. Called by tidy.sh
# with paths relative to the repository root; prints "path:line: rule: what is wrong".
#
# It is no compiler: it knows this project's layout (definitions start in column 0 or are static
# tables; one statement per line) and leaves macros alone.

function set(table, words, value,    list, n) {
    n = split(words, list, " ")
    while (n > 0) { table[list[n--]] = value }
}

BEGIN {
    set(banned_everywhere, "strcpy strcat stpcpy sprintf vsprintf gets atoi atol atof strtok " \
        "rand srand", "unbounded, unchecked or unseeded")
    set(banned_host, "system popen alloca setjmp longjmp sigsetjmp siglongjmp",
        "not in this code base")
    set(banned_heap, "malloc calloc realloc free aligned_alloc posix_memalign strdup strndup " \
        "getline getdelim asprintf vasprintf open_memstream", "the heap belongs to host/base")
    set(banned_library, "printf vprintf puts putchar perror exit abort _exit _Exit quick_exit " \
        "atexit", "a library never prints, never exits")

    # What a folder of host/ may include, besides clipcu.h and itself.
    sees["base"] = " "
    sees["checkpoint"] = sees["image"] = sees["text"] = sees["ops"] = " base "
    sees["model"] = " base checkpoint image text ops "
    sees["bank"] = sees["model"] "model "
    sees["prompt"] = sees["bank"] "bank "
    sees["stream"] = sees["prompt"] "prompt "
    sees["page"] = " base image stream "
    sees["engine"] = sees["stream"] "stream "
    sees["cli"] = " base stream page "
    sees["kernels"] = " base "

    while ((getline line < exempt_file) > 0) {
        if (split(line, field, " ") >= 2 && line !~ /^#/) { exempt[field[1], field[2]] = 1 }
    }
}

function report(rule, line, message) {
    if (!((rule, path) in exempt)) { print path ":" line ": " rule ": " message }
}

function trim(text) {
    sub(/^[ \t]+/, "", text)
    sub(/[ \t]+$/, "", text)
    return text
}

function exists(file,    junk, found) {
    found = (getline junk < file) >= 0
    close(file)
    return found
}

# ---- One file -----------------------------------------------------------------------------------

function open_file() {
    close_file()
    path = FILENAME
    in_host = path ~ /^host\//
    in_kernels = path ~ /^kernels\//
    in_library = in_kernels || (in_host && path !~ /^host\/cli\//)
    folder = in_kernels ? "kernels" : "engine"
    if (path ~ /^host\/[^\/]+\//) {
        folder = path
        sub(/^host\//, "", folder)
        sub(/\/.*/, "", folder)
    }
    in_comment = in_macro = in_function = depth = extern_c = parens = includes = guard_line = 0
    head = ""
    own_header = ""
    if (in_host && path ~ /\.c$/) {
        own_header = path
        sub(/^host\//, "", own_header)
        sub(/\.c$/, ".h", own_header)
        if (!exists("host/" own_header)) { own_header = "" }
    }
    if ($0 !~ /^\/[\/*]/) { report("first-comment", 1, "a file starts by saying what it is for") }
}

function close_file() {
    if (path == "") { return }
    if (lines > 500) { report("file-length", lines, lines " lines, at most 500") }
    if (path ~ /\.(h|cuh)$/ && !guard_line) { report("guard", 1, "no include guard") }
    if (depth != 0) { report("brace-count", lines, "braces do not close: the checks saw nonsense") }
}

FNR == 1 { open_file() }

{
    lines = FNR
    code = strip($0)
    is_macro = in_macro || code ~ /^[ \t]*#/
    in_macro = is_macro && $0 ~ /\\$/
    if (is_macro) { check_preprocessor($0, code) }
    check_calls(code)
    if (!is_macro) {
        check_braces(code)
        check_structure(code)
    }
}

END { close_file() }

# The line without comments, and with strings emptied.
function strip(line,    out, token, skipped) {
    out = ""
    while (line != "") {
        if (in_comment) {
            if (!match(line, /\*\//)) { return out }
            line = " " substr(line, RSTART + 2)
            in_comment = 0
        }
        if (!match(line, /\/\*|\/\/|"|'/)) { return out line }
        out = out substr(line, 1, RSTART - 1)
        token = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        if (token == "//") { return out }
        if (token == "/*") { in_comment = 1; continue }
        skipped = token == "\"" ? match(line, /^([^"\\]|\\.)*"/) : match(line, /^([^'\\]|\\.)*'/)
        out = out token token
        line = skipped ? substr(line, RLENGTH + 1) : ""
    }
    return out
}

# ---- Preprocessor: includes, guards -------------------------------------------------------------

function check_preprocessor(raw, code,    target) {
    if (code ~ /^[ \t]*#[ \t]*if[ \t]+0([^0-9a-zA-Z]|$)/) {
        report("if-0", FNR, "code that is switched off: delete it, git remembers")
    }
    if (path ~ /\.(h|cuh)$/ && !guard_line) { check_guard(code) }
    if (raw !~ /^[ \t]*#[ \t]*include[ \t]*[<"]/) { return }
    target = raw
    sub(/^[^<"]*/, "", target)
    if (target ~ /^</) { sub(/>.*/, ">", target) }
    else { target = substr(target, 1, index(substr(target, 2), "\"") + 1) }
    includes++
    check_include(target)
}

function check_guard(code,    want, have) {
    if (code !~ /^[ \t]*#/) { return }
    guard_line = FNR
    want = path
    sub(/^(host|include|tests)\//, "", want)
    sub(/\.cuh$/, ".h", want)
    gsub(/[^A-Za-z0-9]/, "_", want)
    want = toupper(want)
    if (path !~ /^include\//) { want = "CCU_" want }
    have = trim(code)
    if (have != "#ifndef " want) {
        report("guard", FNR, "expected #ifndef " want ", found " have)
    }
}

function check_include(target,    name, top) {
    name = substr(target, 2, length(target) - 2)
    if (name ~ /\.(c|cu|cpp)$/) {
        report("include-code", FNR, target ": sources are compiled, not included")
    }
    if (own_header != "" && includes == 1 && name != own_header) {
        report("own-header-first", FNR, "expected \"" own_header "\": so it proves to stand alone")
    }
    if (target ~ /^</) {
        if (exists("host/" name)) {
            report("include", FNR, target ": project headers stand in quotes")
        }
        return
    }
    if (!exists("host/" name) && !exists("include/" name) && !exists("tests/" name) &&
        !exists("kernels/" name) && !exists("bench/" name)) {
        report("include", FNR, target ": not under host/, include/, tests/, kernels/ or bench/")
        return
    }
    if (!(in_host || in_kernels) || name == "clipcu.h") { return }
    top = name
    if (!sub(/\/.*/, "", top)) { top = exists("kernels/" name) ? "kernels" : "engine" }
    if (folder == "kernels" && name == "ops/ops.h") { return }
    if (folder == "engine" && name == "cuda_backend.h") { return }
    if (path ~ /^kernels\/simt[a-z_]*\.h$/ && top == "emu") { return } # nvcc's stand-in
    if (top != folder && index(sees[folder], " " top " ") == 0) {
        report("include-direction", FNR,
               folder " must not include " name "; it sees clipcu.h" sees[folder])
    }
}

# ---- Calls --------------------------------------------------------------------------------------

function check_calls(code,    rest, name, before) {
    rest = code
    while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
        name = substr(rest, RSTART, RLENGTH - 1)
        sub(/[ \t]+$/, "", name)
        rest = substr(rest, RSTART + RLENGTH)
        if (before != "." && before != ">") { check_call(name) }
    }
    if (in_library && code ~ /(^|[^A-Za-z0-9_])(stdout|stderr)([^A-Za-z0-9_]|$)/) {
        report("banned-call", FNR, "stdout, stderr: a library never prints")
    }
}

function check_call(name,    why) {
    why = ""
    if (name in banned_everywhere) { why = banned_everywhere[name] }
    if ((in_host || in_kernels) && (name in banned_host)) { why = banned_host[name] }
    if (in_host && folder != "base" && (name in banned_heap)) { why = banned_heap[name] }
    if (in_library && (name in banned_library)) { why = banned_library[name] }
    # libjpeg and libpng have no other way to report an error than not to return.
    if (path ~ /^host\/(image\/decode_(jpeg|png)|page\/thumbnail)\.c$/ && name ~ /jmp$/) {
        why = ""
    }
    if (why != "") { report("banned-call", FNR, name "(): " why) }
}

# ---- Braces around every branch -----------------------------------------------------------------

function check_braces(code,    rest, c) {
    rest = trim(code)
    if (!parens) {
        if (rest ~ /(^|\} *)else([^A-Za-z0-9_]|$)/ && rest !~ /(^|\} *)else *(\{|if *\()/) {
            report("braces", FNR, "else without braces")
        }
        sub(/^\} *else +/, "", rest)
        if (rest !~ /^(if|for|while|switch) *\(/) { return }
        sub(/^[a-z]+ */, "", rest)
    }
    while (match(rest, /[()]/)) { # up to the parenthesis that closes the condition
        c = substr(rest, RSTART, 1)
        rest = substr(rest, RSTART + 1)
        parens += c == "(" ? 1 : -1
        if (parens == 0) {
            if (rest !~ /^ *\{/) { report("braces", FNR, "a branch or loop without { on its line") }
            return
        }
    }
}

# ---- Functions and file-scope data --------------------------------------------------------------

function check_structure(code,    rest, token, text) {
    if (depth > 0 && (in_host || in_kernels) && code ~ /^[ \t]*static[ \t]/) {
        text = trim(code)
        sub(/=.*/, "", text)
        if (!is_constant(text)) {
            report("function-static", FNR, text ": state lives in the engine")
        }
    }
    rest = code
    while (match(rest, /[{};]/)) {
        token = substr(rest, RSTART, 1)
        text = substr(rest, 1, RSTART - 1)
        rest = substr(rest, RSTART + 1)
        if (depth == 0) { add_to_head(text); at_file_scope(token) }
        else if (token == "{") { depth++ }
        else if (token == "}" && --depth == 0) { end_of_block() }
    }
    if (depth == 0) { add_to_head(rest) }
}

function add_to_head(text) {
    text = trim(text)
    if (text == "") { return }
    if (head == "") { head_line = FNR }
    head = head == "" ? text : head " " text
}

function at_file_scope(token) {
    if (token == ";") {
        if (in_host || in_kernels) { check_data(head) }
        head = ""
    } else if (token == "{" && head ~ /^extern ""$/) {
        extern_c++
        head = ""
    } else if (token == "{") {
        depth = 1
        in_function = head ~ /\)$/ && head !~ /=/
    } else if (extern_c > 0) {
        extern_c--
        head = ""
    }
}

function end_of_block(    count, most) {
    if (!in_function) { head = head "{}"; return }
    count = FNR - head_line + 1
    most = in_kernels ? 100 : 70
    if (count > most) { report("function-length", head_line, count " lines, at most " most) }
    head = ""
    in_function = 0
}

# text: a whole declaration at file scope, initialiser's braces emptied.
function check_data(text) {
    if (text ~ /^typedef /) { return }
    sub(/^template <[^>]*> */, "", text)
    if (text ~ /^((static|extern) )*(struct|union|enum)( [A-Za-z0-9_]+)? *(\{\})?$/) { return }
    sub(/=.*/, "", text)
    if (text ~ /\(/ && text !~ /^[^(]*\( *\*/) { return } # a prototype, a static_assert
    if (text != "" && !is_constant(text)) {
        report("mutable-global", head_line, trim(text) ": state lives in the engine")
    }
}

# A declaration without initialiser: can what it names not change?
function is_constant(text) {
    if (text ~ /^[^(]*\( *\*/) { return text ~ /^[^(]*\( *\* *const / } # function pointer
    if (text ~ /\*/) { return text ~ /\* *const [^*]*$/ }
    return text ~ /(^| )(const|constexpr) /
}
