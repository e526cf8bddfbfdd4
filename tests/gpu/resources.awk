# ptxas -v on kernels -> one line per kernel: NAME REGISTERS SHARED STACK SPILL_STORES SPILL_LOADS.
# Names come mangled; c++filt (if there is one) is applied by the caller.
/Compiling entry function/ {
    name = $0
    sub(/^[^']*'/, "", name)
    sub(/'.*/, "", name)
    stack = spill_stores = spill_loads = 0
}
/bytes stack frame/ {
    for (i = 1; i < NF; i++) {
        if ($(i + 1) != "bytes") { continue }
        if ($(i + 2) == "stack") { stack = $i }
        if ($(i + 2) == "spill" && $(i + 3) ~ /^stores/) { spill_stores = $i }
        if ($(i + 2) == "spill" && $(i + 3) ~ /^loads/) { spill_loads = $i }
    }
}
/Used [0-9]+ registers/ && name != "" {
    registers = shared = 0
    for (i = 1; i < NF; i++) {
        if ($(i + 1) ~ /^registers/) { registers = $i }
        if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) { shared = $i }
    }
    print name, registers, shared, stack, spill_stores, spill_loads
    name = ""
}
