# The manual page and the completions of three shells, made from the command's tables of options by
# a program that runs here: a cross build goes without.
if(NOT CMAKE_CROSSCOMPILING)
    file(GLOB docs_sources CONFIGURE_DEPENDS host/cli/docs/*.c)
    add_executable(clipcu_docs ${docs_sources} host/cli/options_table.c)
    target_link_libraries(clipcu_docs PRIVATE clipcu_flags)
    target_compile_definitions(clipcu_docs PRIVATE
        CLIPCU_DEMO_INSTALLED="${CMAKE_INSTALL_FULL_DATADIR}/clipcu/demo")
    # Below share/, where each is looked for. Debian's own packages put zsh's elsewhere.
    set(CLIPCU_ZSH_FOLDER zsh/site-functions CACHE STRING "Where zsh's completion goes in share/")
    mark_as_advanced(CLIPCU_ZSH_FOLDER)
    foreach(page manual:man/man1/clipcu.1 bash:bash-completion/completions/clipcu
                 zsh:${CLIPCU_ZSH_FOLDER}/_clipcu fish:fish/vendor_completions.d/clipcu.fish)
        string(REGEX MATCH "^([^:]+):(.+)$" matched "${page}")
        set(kind ${CMAKE_MATCH_1})
        set(file ${PROJECT_BINARY_DIR}/share/${CMAKE_MATCH_2})
        get_filename_component(folder ${file} DIRECTORY)
        file(MAKE_DIRECTORY ${folder})
        add_custom_command(OUTPUT ${file} COMMAND clipcu_docs ${kind} ${file}
                           DEPENDS clipcu_docs VERBATIM)
        list(APPEND pages ${file})
    endforeach()
    add_custom_target(clipcu_pages ALL DEPENDS ${pages})
endif()
