#!/usr/bin/perl

# The project's own rules, held by machine.
#
#     util/lint.pl                 checks the tree; exit status 1 on findings
#     util/lint.pl --self-test     shows that every rule can fail
#     util/lint.pl --nginx-free    prints the .c files that need no nginx
#
# A rule is a function of one file (its path and text) that returns findings
# as [line, message]; the self-test feeds each one a text that breaks it and
# one that does not.

use strict;
use warnings;

# no module but Perl's own core: the Makefile asks for the list of files before
# anything could be installed
my ($util) = __FILE__ =~ m{^(.*)/[^/]+$};
chdir((defined $util ? $util : '.') . '/..')
    or die "cannot enter the tree: $!\n";

my $FILE_LINES = 800;
my $FUNCTION_LINES = 100;
my $COLUMNS = 80;

# Parts that must do without nginx: agentsctl and the unit tests have them too.
my $NGINX_FREE = qr{
    ^agentsctl/.*\.[ch]$
  | ^t/unit/[^/]+\.[ch]$
  | ^src/base/ngx_http_agents_ (?! (?: fd | secret | task | turn ) \. )
  | ^src/store/ngx_http_agents_ (?! db_nginx )
  | ^src/mcp/ngx_http_agents_ (?: address | url
                                | mcp_(?: content | message | schema
                                     | token ) ) \w* \.
  | ^src/model/ngx_http_agents_ (?: anthropic | aws_keys | bedrock | cortex
                                  | draft | format | frames | keypair | model
                                  | names | openai | passes | plan | redact
                                  | refusal | sigv4 | stream ) \w* \.
  | ^src/run/ngx_http_agents_loop \w* \.
  | ^src/http/ngx_http_agents_ (?: body | etag | events_id | jwks | jwt
                                 | permissions | problem ) \w* \.
}x;

# A call that has one door, and the files that are the door.
my @DOORS = (
    [ qr/\bngx_thread_task_post\s*\(/, qr{^src/base/ngx_http_agents_task\.c$},
      'thread tasks are posted by base/task alone' ],
    [ qr/\bngx_http_subrequest\s*\(/,
      qr{^src/mcp/ngx_http_agents_background\w*\.c$},
      'subrequests are made by mcp/background alone' ],
    [ qr/\bcurl_(?:multi|easy)_\w+\s*\(/,
      qr{^src/model/ngx_http_agents_(?:transport|transfer)\w*\.c$},
      'libcurl is used by the transport alone' ],
    [ qr/\b(?:sqlite3_(?:open|prepare|step|exec)\w*|PQ\w+)\s*\(/,
      qr{^src/store/ngx_http_agents_db_\w+\.c$|^t/unit/},
      'databases are used by the drivers alone' ],
);

# Layers call downwards only; two of one height do not know each other.
my %LAYER = (base => 0, store => 1, model => 2, mcp => 2, run => 3, http => 4);

# Tables that hold no user's data, or are found before the user is known.
my %NO_OWNER = map { $_ => 1 } qw(agents_tokens agents_workers agents_schema
                              agents_stops agents_chores);


# ---- reading C ----

# Blanks out comments, strings and character constants, keeping the lines;
# with $strings only the comments.
sub code_of {
    my ($text, $strings) = @_;

    $text =~ s{ ( /\* .*? \*/ | // [^\n]* )
              | ( " (?: [^"\\\n] | \\. )* " | ' (?: [^'\\\n] | \\. )* ' ) }
              { my $kept = defined $2 ? $2 : '';
                defined $2 ? ($strings ? $kept : blank($2)) : blank($1) }gsex;

    return $text;
}


sub blank {
    my ($text) = @_;
    $text =~ s/[^\n]/ /g;
    return $text;
}


sub each_match {
    my ($text, $re, $message) = @_;
    my @found;

    while ($text =~ /$re/g) {
        my $before = substr($text, 0, $-[0]);
        push @found, [ 1 + ($before =~ tr/\n//), $message ];
    }

    return @found;
}


# Functions as [name, first line, last line]; nginx's layout: the type on its
# own line, the name at the line's start, "{" and "}" in column 0.
sub functions_of {
    my ($text) = @_;
    my @lines = split /\n/, code_of($text);
    my ($name, $start, @functions);

    for my $i (0 .. $#lines) {
        if (!defined $start && $lines[$i] =~ /^(\w+)\(/) {
            $name = $1;

        } elsif ($lines[$i] =~ /^\{/ && defined $name) {
            $start = $i + 1;

        } elsif ($lines[$i] =~ /^\}/ && defined $start) {
            push @functions, [ $name, $start, $i + 1 ];
            undef $name;
            undef $start;

        } elsif ($lines[$i] =~ /;\s*$/ && !defined $start) {
            undef $name;
        }
    }

    return @functions;
}


# ---- rules ----

my @rules;

sub rule {
    my (%rule) = @_;
    push @rules, \%rule;
}


rule(
    name  => 'nginx-free',
    files => $NGINX_FREE,
    check => sub {
        my ($path, $text) = @_;
        return each_match($text, qr/^#\s*include\s*<ngx_\w+\.h>/m,
                          'no nginx header here');
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "#include <ngx_core.h>\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c', "#include <stdio.h>\n" ],
);


rule(
    name  => 'one-door',
    files => qr{\.[ch]$},
    check => sub {
        my ($path, $text) = @_;
        my $code = code_of($text);
        return map { $path =~ $_->[1] ? ()
                                      : each_match($code, $_->[0], $_->[2]) }
               @DOORS;
    },
    bad   => [ 'src/run/ngx_http_agents_x.c',
               "ngx_thread_task_post(pool, task);\n" ],
    good  => [ 'src/run/ngx_http_agents_x.c',
               "/* ngx_http_subrequest(r) */ \"PQexec(c)\";\n" ],
);


rule(
    name  => 'sql',
    files => qr{^(?!src/store/|t/).*\.[ch]$},
    check => sub {
        my ($path, $text) = @_;
        my $sql = qr/"[^"\n]*\b(?:SELECT\s.*\bFROM|INSERT\s+INTO
                     |UPDATE\s+\w+\s+SET|DELETE\s+FROM
                     |CREATE\s+TABLE)\b/x;
        return each_match(code_of($text, 1), $sql,
                          'SQL stands in src/store alone');
    },
    bad   => [ 'src/run/ngx_http_agents_x.c',
               "q = \"DELETE FROM agents_runs\";\n" ],
    good  => [ 'src/run/ngx_http_agents_x.c', "/* \"DELETE FROM t\" */\n" ],
);


rule(
    name  => 'banned',
    files => qr{\.[ch]$},
    check => sub {
        my ($path, $text) = @_;
        return each_match(code_of($text),
            qr/\b(?:strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\s*\(/,
            'a function without bounds');
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "sprintf(p, \"%d\", n);\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c',
               "ngx_sprintf(p, \"%d\", n); snprintf(p, 8, \"x\");\n" ],
);


rule(
    name  => 'file-length',
    files => qr{\.(?:[ch]|pl|pm|t|js|sh|sql)$},
    check => sub {
        my ($path, $text) = @_;
        my $n = ($text =~ tr/\n//);
        return $n > $FILE_LINES ? [ $n, "more than $FILE_LINES lines" ] : ();
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "\n" x ($FILE_LINES + 1) ],
    good  => [ 'src/base/ngx_http_agents_x.c', "\n" x $FILE_LINES ],
);


rule(
    name  => 'function-length',
    files => qr{\.c$},
    check => sub {
        my ($path, $text) = @_;
        return map { $_->[2] - $_->[1] - 1 > $FUNCTION_LINES
                     ? [ $_->[1], "$_->[0] has more than $FUNCTION_LINES"
                                  . ' lines' ] : () } functions_of($text);
    },
    bad   => [ 'src/base/ngx_http_agents_x.c',
               "int\nngx_http_agents_x(void)\n{\n" . "\n" x 101 . "}\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c',
               "int\nngx_http_agents_x(void)\n{\n" . "\n" x 100 . "}\n" ],
);


rule(
    name  => 'line-length',
    files => qr{\.(?:[ch]|pl|pm|js|sh)$},
    check => sub {
        my ($path, $text) = @_;
        my ($n, @found) = (0);
        for (split /\n/, $text) {
            $n++;
            push @found, [ $n, "longer than $COLUMNS columns" ]
                if length > $COLUMNS;
        }
        return @found;
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', 'x' x 81 . "\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c', 'x' x 80 . "\n" ],
);


rule(
    name  => 'whitespace',
    files => qr{\.(?:[ch]|pl|pm|t|js|sh|sql|conf)$},
    check => sub {
        my ($path, $text) = @_;
        return (each_match($text, qr/[ \t]+$/m, 'blanks at the end'),
                each_match($text, qr/^ *\t/m, 'a tab'),
                $text =~ /[^\n]\z/ ? [ 1, 'no newline at the end' ] : ());
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "x \n" ],
    good  => [ 'src/base/ngx_http_agents_x.c', "x\n" ],
);


rule(
    name  => 'head',
    files => qr{^(?:src/.*|agentsctl/\w+|ngx_http_agents_module)\.[ch]$},
    check => sub {
        my ($path, $text) = @_;
        (my $header = $path) =~ s/\.c$/.h/;
        return if $text =~ m{\A\n?/\*} || $header ne $path && -e $header;
        return [ 1, 'no word on what it is for, nor a header of its name' ];
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "\n#include <x.h>\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c', "\n/*\n * X.\n */\n" ],
);


rule(
    name  => 'names',
    files => qr{^src/.*\.c$},
    check => sub {
        my ($path, $text) = @_;
        my $header = qr/ngx_http_agents_\w+/;
        return map { $_->[0] =~ /^$header/ ? ()
                     : [ $_->[1], "$_->[0] does not begin with"
                                  . ' ngx_http_agents_' ] }
               functions_of($text);
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "int\nhelper(void)\n{\n}\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c',
               "int\nngx_http_agents_x(void)\n{\n}\n" ],
);


rule(
    name  => 'own-names',
    files => qr{^src/.*\.c$},
    check => \&check_own_names,
    bad   => [ 'src/base/ngx_http_agents_clock.c',
               "static int\nngx_http_agents_other_x(void)\n{\n}\n" ],
    good  => [ 'src/base/ngx_http_agents_clock.c',
               "static int\nngx_http_agents_clock_x(void)\n{\n}\n" ],
);


# A function carries its file's name, or that of a file of which this one is a
# part (db_pg_row.c: db_pg), or stands in a header under its name.
sub check_own_names {
    my ($path, $text) = @_;
    my %public = map { $_ => 1 }
                 map { code_of(slurp($_)) =~ /\b(ngx_http_agents_\w+)\s*\(/g }
                 glob 'src/*/*.h';
    my ($own) = $path =~ m{/(ngx_http_agents_\w+)\.c$} or return;
    my @stems = ($own);

    my $parent = $own;
    while ($parent =~ s/_[a-z0-9]+$// && $parent ne 'ngx_http_agents') {
        push @stems, $parent;
    }

    # plurals and singulars are the same word: tokens.c, token_find
    my $re = join '|', map { (my $s = $_) =~ s/s$//; "${s}s?" } @stems;

    return map { $public{$_->[0]} || $_->[0] =~ /^(?:$re)(?:_|$)/ ? ()
                 : [ $_->[1], "$_->[0] does not begin with $own" ] }
           functions_of($text);
}


rule(
    name  => 'layers',
    files => qr{^src/.*\.[ch]$},
    check => \&check_layers,
    bad   => [ 'src/mcp/ngx_http_agents_x.c',
               "#include \"ngx_http_agents_model.h\"\n" ],
    good  => [ 'src/mcp/ngx_http_agents_x.c',
               "#include \"ngx_http_agents_url.h\"\n"
               . "#include \"ngx_http_agents_json.h\"\n" ],
);


sub check_layers {
    my ($path, $text) = @_;
    my %of = map { m{^src/(\w+)/(.+)$} ? ($2 => $1) : () } glob 'src/*/*.h';
    my ($own) = $path =~ m{^src/(\w+)/};
    my @found;

    while ($text =~ /^#\s*include\s*"([^"]+)"/mg) {
        my ($header, $before) = ($1, substr $text, 0, $-[0]);
        my $layer = $of{$header};
        next if !defined $layer || $layer eq $own
                || $LAYER{$layer} < $LAYER{$own};
        push @found, [ 1 + ($before =~ tr/\n//),
                       "$own does not stand above $layer" ];
    }

    return @found;
}


# nginx says there what it wants of the system, before the system is asked.
rule(
    name  => 'nginx-first',
    files => qr{^(?:src/.*|ngx_http_agents_module)\.[ch]$},
    check => sub {
        my ($path, $text) = @_;
        my ($first) = $text =~ /^#\s*include\s*(\S+)/m;
        return () if !defined $first || $first =~ /^(?:<ngx_config\.h>|")/
                     || !needs_nginx($text);
        my ($before) = $text =~ /\A(.*?)^#\s*include/ms;
        return [ 1 + ($before =~ tr/\n//), "$first before ngx_config.h" ];
    },
    bad   => [ 'src/run/ngx_http_agents_x.c',
               "#include <poll.h>\n#include <ngx_config.h>\n" ],
    good  => [ 'src/run/ngx_http_agents_x.c',
               "#include <ngx_config.h>\n#include <poll.h>\n" ],
);


rule(
    name  => 'mutable-globals',
    files => qr{^(?:src/.*|ngx_http_agents_module)\.c$},
    check => sub {
        my ($path, $text) = @_;
        my $code = code_of($text);
        my @found;
        my $line = 0;
        for (split /\n/, $code) {
            $line++;
            next unless /^static\s+(?!const\b)[^(]*?(?:;|=)/;
            next if /\bconst\b/;
            # tables that nginx's own interface wants writable
            next if /^static\s+ngx_(?:command|str|conf_\w+|http_module
                     |http_variable|core_module|http_\w+_filter_pt)\w*\b/x;
            next if /^static\s+ngx_http_output_\w+_filter_pt\b/;
            # a thread's own, as errno is
            next if /^static\s+__thread\b/;
            push @found, [ $line, 'mutable state of the whole file' ];
        }
        return @found;
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "static int  counter;\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c',
               "static const int  table[] = { 1 };\n" ],
);


rule(
    name  => 'owner-first',
    files => qr{^sql/.*\.sql$},
    check => \&check_owner_first,
    bad   => [ 'sql/sqlite/0001_x.sql',
               "CREATE TABLE agents_runs (\n  id TEXT PRIMARY KEY\n);\n" ],
    good  => [ 'sql/sqlite/0001_x.sql',
               "CREATE TABLE agents_runs (\n  id TEXT,\n"
               . "  PRIMARY KEY (company_id, user_id, id)\n);\n"
               . "CREATE TABLE agents_tokens (id TEXT PRIMARY KEY);\n" ],
);


sub check_owner_first {
    my ($path, $text) = @_;
    my @found;

    $text =~ s{--[^\n]*}{}g;

    my $create = qr/CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?/i;

    while ($text =~ /$create(\w+)(.*?);/gsi) {
        my ($table, $body, $at) = ($1, $2, $-[0]);
        next if $NO_OWNER{$table};

        while ($body =~ /\b(?:PRIMARY\s+KEY|UNIQUE)\b
                         (\s*\(\s*company_id\s*,\s*user_id\b)?/gxi)
        {
            next if defined $1;
            my $before = substr($text, 0, $at);
            push @found, [ 1 + ($before =~ tr/\n//),
                           "a key of $table does not begin with company_id,"
                           . ' user_id' ];
        }
    }

    while ($text =~ /CREATE\s+UNIQUE\s+INDEX\s+(?:\w+\s+){1,4}?ON\s+(\w+)
                     \s*\(([^)]*)\)/gxi)
    {
        my ($table, $columns, $at) = ($1, $2, $-[0]);
        next if $NO_OWNER{$table};
        next if $columns =~ /^\s*company_id\s*,\s*user_id\b/;
        my $before = substr($text, 0, $at);
        push @found, [ 1 + ($before =~ tr/\n//),
                       "a unique index of $table does not begin with"
                       . ' company_id, user_id' ];
    }

    return @found;
}


rule(
    name  => 'left-over',
    files => qr{\.(?:[ch]|pl|pm|t|js|sh|sql|conf|md)$|^Makefile$},
    check => sub {
        my ($path, $text) = @_;
        # spelt apart, or this file would find itself
        my $words = join '|', 'TO' . 'DO', 'FIX' . 'ME', 'X' . 'XX',
                              'HA' . 'CK';
        return each_match($text, qr/\b(?:$words)\b/, 'left over');
    },
    bad   => [ 'src/base/ngx_http_agents_x.c', "/* TO" . "DO */\n" ],
    good  => [ 'src/base/ngx_http_agents_x.c', "/* done */\n" ],
);


# What others said is shown by the console: as text.
rule(
    name  => 'text-only',
    files => qr{^console/.*\.js$},
    check => sub {
        my ($path, $text) = @_;
        my $markup = qr/\b(?:\w*HTML\w*|document\s*\.\s*write|srcdoc
                          |createContextualFragment|parseFromString)\b/x;
        my $code = qr/\b(?:eval|Function|javascript:)|\bimport\s*\(/;
        my $address = qr/\.(?:href|src)\s*=(?!=)
                         (?!\s*(?:url\.href;|`\#c\/\$\{c\.id\}`;))/x;
        return (each_match($text, $markup, 'a text becomes markup'),
                each_match($text, $code, 'a text becomes code'),
                each_match($text, $address, 'an address that is not known'));
    },
    bad   => [ 'console/x.js', "node.innerHTML = text;\n" ],
    good  => [ 'console/x.js', "node.textContent = text;\n"
                               . "node.href = url.href;\n" ],
);


# ---- the three ways to run ----

sub tree {
    my @files = qx(git ls-files --cached --others --exclude-standard 2>&-);
    @files = qx(find . -type f -not -path './build*' -not -path './.git/*')
        unless @files;
    chomp @files;
    s{^\./}{} for @files;
    return sort grep { -f } @files;
}


sub slurp {
    my ($path) = @_;
    open my $in, '<:encoding(UTF-8)', $path or die "$path: $!\n";
    local $/;
    my $text = <$in>;
    return defined $text ? $text : '';
}


sub check_tree {
    my $findings = 0;

    binmode STDOUT, ':encoding(UTF-8)';

    for my $path (tree()) {
        my @rules_of_it = grep { $path =~ $_->{files} } @rules or next;
        my $text = slurp($path);

        for my $rule (@rules_of_it) {
            for ($rule->{check}->($path, $text)) {
                print "$path:$_->[0]: $_->[1] [$rule->{name}]\n";
                $findings++;
            }
        }
    }

    print "lint: $findings findings\n" if $findings;
    return $findings ? 1 : 0;
}


sub self_test {
    my $failed = 0;

    for my $rule (@rules) {
        my ($bad, $good) = @$rule{qw(bad good)};

        for ($bad, $good) {
            next if $_->[0] =~ $rule->{files};
            print "lint: $rule->{name} does not look at $_->[0]\n";
            $failed++;
        }
        if (!(() = $rule->{check}->(@$bad))) {
            print "lint: $rule->{name} finds nothing where it should\n";
            $failed++;
        }
        if (() = $rule->{check}->(@$good)) {
            print "lint: $rule->{name} finds something where it should not\n";
            $failed++;
        }
    }

    return $failed ? 1 : 0;
}


# Whether a text needs nginx: one of the headers that it comes to does.
sub needs_nginx {
    my ($text, $path, $known) = @_;
    $path ||= { map { m{([^/]+)$} ? ($1 => $_) : () } glob 'src/*/*.h' };
    $known ||= {};

    return 1 if $text =~ /^#\s*include\s*<ngx_/m;

    for my $file (grep { $_ } map { $path->{$_} }
                      $text =~ /^#\s*include\s*"([^"]+)"/mg)
    {
        if (!defined $known->{$file}) {
            $known->{$file} = 0;
            $known->{$file} = needs_nginx(slurp($file), $path, $known);
        }
        return 1 if $known->{$file};
    }
    return 0;
}


sub nginx_free {
    print "$_\n" for grep { !needs_nginx(slurp($_)) } sort glob 'src/*/*.c';
    return 0;
}


my $mode = @ARGV ? $ARGV[0] : '';
exit($mode eq '--self-test' ? self_test()
     : $mode eq '--nginx-free' ? nginx_free() : check_tree());
