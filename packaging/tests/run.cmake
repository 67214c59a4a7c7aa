# run(COMMAND...): sets `said` to its output; when it fails, so does the test.
function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${ARGN}\nended with ${status}:\n${said}")
    endif()
    set(said "${said}" PARENT_SCOPE)
endfunction()
