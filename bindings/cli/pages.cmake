# Writes what COMMAND has to say of itself into OUTPUT: manual pages, and completions for shells.

function(write file)
    execute_process(COMMAND "${COMMAND}" ${ARGN} OUTPUT_FILE "${OUTPUT}/${file}" RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${COMMAND} ${ARGN} ended with ${status}")
    endif()
endfunction()

file(MAKE_DIRECTORY "${OUTPUT}/man1")
write(man1/linkspan.1 man)
foreach(name connect echo serve-topics)
    write(man1/linkspan-${name}.1 man ${name})
endforeach()
write(linkspan.bash completions bash)
write(_linkspan completions zsh)
write(linkspan.fish completions fish)
