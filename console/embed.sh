#!/bin/sh

# Puts the console's files, those of this folder, into a C file, byte for byte:
#     console/embed.sh OUTPUT

set -e

if [ $# -ne 1 ]; then
    echo "usage: $0 OUTPUT" >&2
    exit 2
fi

dir=$(dirname "$0")
out=$1
tmp=$out.$$

trap 'rm -f "$tmp"' EXIT

# embed NAME TYPE FILE: an entry of the table
embed() {
    printf '\n    { "%s", "%s; charset=utf-8",\n' "$1" "$2"

    # a trigraph is the one thing that a quoted text would not bring through
    sed -e 's/[\\"]/\\&/g' -e 's/?/\\?/g' -e 's/^/      "/' -e 's/$/\\n"/' \
        "$dir/$3"

    printf '      , %d },\n' "$(wc -c < "$dir/$3")"
}

{
    printf '\n/*\n * Made by console/embed.sh from the files in console: '
    printf 'change those.\n */\n\n\n'
    printf '#include "ngx_http_agents_console.h"\n\n\n'
    printf 'const ngx_http_agents_console_file_t  '
    printf 'ngx_http_agents_console_files[] = {\n'

    embed ""          text/html       index.html
    embed console.css text/css        console.css

    for file in "$dir"/*.js; do
        embed "${file##*/}" text/javascript "${file##*/}"
    done

    printf '\n    { NULL, NULL, NULL, 0 }\n};\n'
} > "$tmp"

# an unchanged file keeps its time, so that nothing is built anew for it

if cmp -s "$tmp" "$out"; then
    exit 0
fi

mv "$tmp" "$out"
