# Text files as C tables: cmake -DPAGE=DIR -DOUT=FILE.c -P Assets.cmake. Called while building; what
# comes out implements host/page/assets.h.
set(tables "")
set(names "")
foreach(asset css:page.css js:page.js controls:controls.html)
    string(REGEX MATCH "^([^:]+):(.+)$" matched "${asset}")
    set(name ${CMAKE_MATCH_1})
    file(READ "${PAGE}/${CMAKE_MATCH_2}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(.....................................................................\
...........)" "\\1\n" bytes "${bytes}") # 80 columns: 16 bytes of 5
    string(APPEND tables "static const unsigned char ${name}_bytes[] = {\n${bytes}\n};\n"
        "const ccu_asset ccu_asset_${name} = { (const char *)${name}_bytes, "
        "sizeof ${name}_bytes };\n\n")
endforeach()

# sha256 of the script in base64: three bytes, six hexadecimal digits, are four digits.
set(digits "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
file(SHA256 "${PAGE}/page.js" hash)
string(APPEND hash "00") # 32 bytes are filled up to 33
set(base64 "")
foreach(at RANGE 0 60 6)
    string(SUBSTRING ${hash} ${at} 6 three)
    foreach(shift 18 12 6 0)
        math(EXPR digit "(0x${three} >> ${shift}) & 63")
        string(SUBSTRING ${digits} ${digit} 1 digit)
        string(APPEND base64 ${digit})
    endforeach()
endforeach()
string(REGEX REPLACE "A$" "=" base64 "${base64}")

file(WRITE "${OUT}" "/* Made by cmake/Assets.cmake from the files in host/page. */\n"
     "#include \"page/assets.h\"\n\n${tables}"
     "const char *const ccu_asset_js_hash = \"sha256-${base64}\";\n")
