"""Prints host/text/entities_table.c from Python's html.entities: python make_entities.py > FILE.

One string per name, sorted by name: "Aacute C1" may be written with or without a semicolon,
"Abreve; 102" needs it, "NotEqualTilde; 2242 338" stands for two code points.
"""
import html.entities

WIDTH = 100

HEAD = """/* HTML's named character references, sorted by name. Made by
 * tests/golden/make_entities.py from Python's html.entities (the WHATWG list); do not edit.
 * "Aacute C1": the semicolon may be missing; "Abreve; 102": it may not; values are code points in
 * hexadecimal. */
#include "text/entities.h"

/* clang-format off */
const char *const ccu_entity_table[CCU_ENTITIES] = {"""


def main():
    table = html.entities.html5
    rows = []
    for name in table:
        if name.endswith(";"):
            shown = name[:-1] if name[:-1] in table else name
            rows.append((name[:-1], shown + " " + " ".join("%X" % ord(c) for c in table[name])))
    rows.sort()
    print(HEAD)
    line = "   "
    for _, row in rows:
        item = ' "%s",' % row
        if len(line) + len(item) > WIDTH:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};")


if __name__ == "__main__":
    main()
