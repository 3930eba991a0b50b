#!/bin/sh

# Puts the API's description, openapi.json, into a C file, byte for byte:
#     docs/embed.sh OUTPUT

set -e

if [ $# -ne 1 ]; then
    echo "usage: $0 OUTPUT" >&2
    exit 2
fi

file=$(dirname "$0")/openapi.json
out=$1
tmp=$out.$$

trap 'rm -f "$tmp"' EXIT

{
    printf '\n/*\n * Made by docs/embed.sh from docs/openapi.json: '
    printf 'change that.\n */\n\n\n'
    printf '#include "ngx_http_agents_openapi.h"\n\n\n'
    printf 'const char  ngx_http_agents_openapi_text[] =\n'

    # a trigraph is the one thing that a quoted text would not bring through
    sed -e 's/[\\"]/\\&/g' -e 's/?/\\?/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"

    printf '    ;\n\n'
    printf 'const size_t  ngx_http_agents_openapi_len =\n'
    printf '    sizeof(ngx_http_agents_openapi_text) - 1;\n'
} > "$tmp"

# an unchanged file keeps its time, so that nothing is built anew for it

if cmp -s "$tmp" "$out"; then
    exit 0
fi

mv "$tmp" "$out"
