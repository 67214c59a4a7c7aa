#!/bin/sh
# Lists the functions of linkspan.h that no C++ header calls. Those that need not be called stand below, each with
# the reason; one that is called all the same is listed too. Exits with 1 when there is anything to list.
set -eu

unneeded() {
    sed 's/ *#.*//' <<'U'
linkspan_connection_send_text       # Connection::send_text is send with a Kind
linkspan_connection_send_binary     # and so is Connection::send_binary
linkspan_abi_version                # a number, as in C
linkspan_close_name                 # static text, as in C
linkspan_rule_name                  # static text, as in C
linkspan_status_text                # static text, as in C; Error::what() says more
linkspan_version                    # static text, as in C
U
}

known=$(sed '/^ *\/\//d' bindings/cpp/*.hpp bindings/cpp/linkspan/*.hpp | grep -o 'linkspan_[a-z_0-9]*' | sort -u)
status=0
while read -r function; do
    is_known=$(printf '%s\n' "$known" | grep -cx "$function" || :)
    is_unneeded=$(unneeded | grep -cx "$function" || :)
    [ "$is_known" != "$is_unneeded" ] || { echo "$function: known $is_known, unneeded $is_unneeded"; status=1; }
done <ffi/tests/symbols.txt
exit $status
