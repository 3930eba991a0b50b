#!/bin/sh

# Puts the migrations' texts into a C file:  sql/embed.sh OUTPUT
#
# Files are sql/<engine>/NNNN_<name>.sql, numbered from 0001 without gaps, the
# same numbers for both engines.  Comments and blank lines are left out.

set -e

if [ $# -ne 1 ]; then
    echo "usage: $0 OUTPUT" >&2
    exit 2
fi

dir=$(dirname "$0")
out=$1
tmp=$out.$$

trap 'rm -f "$tmp"' EXIT

embed() {
    engine=$1
    n=0

    printf '\n\nconst char *const  ngx_http_agents_migrations_%s[] = {\n' \
           "$engine"

    for file in "$dir/$engine"/[0-9][0-9][0-9][0-9]_*.sql; do
        n=$((n + 1))

        case ${file##*/} in
        "$(printf %04d $n)"_*)
            ;;
        *)
            echo "$0: $file: number $(printf %04d $n) is missing" >&2
            exit 1
            ;;
        esac

        sed -e '/^ *--/d' -e '/^ *$/d' -e 's/[\\"]/\\&/g' \
            -e 's/^/    "/' -e 's/$/\\n"/' "$file"
        echo "    ,"
    done

    printf '};\n\n'
    printf 'typedef char  ngx_http_agents_migrations_%s_n[\n' "$engine"
    printf '    %d == NGX_HTTP_AGENTS_MIGRATIONS_N ? 1 : -1];\n' "$n"
}

{
    printf '\n/*\n * Made by sql/embed.sh from the files in sql: '
    printf 'change those.\n */\n\n\n'
    printf '#include "ngx_http_agents_migrations.h"\n'

    embed sqlite
    embed postgres
} > "$tmp"

# an unchanged file keeps its time, so that nothing is built anew for it

if cmp -s "$tmp" "$out"; then
    exit 0
fi

mv "$tmp" "$out"
