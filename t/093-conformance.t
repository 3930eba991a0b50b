# docs/conformance.md against the tests that it names: each row has one, each
# file is there, and each name is that of a subtest, a block, a check, or an
# entry of a table in it.

use strict;
use warnings;
use FindBin;
use JSON::PP;
use Test::More;

chdir "$FindBin::Bin/.." or die "$FindBin::Bin/..: $!\n";

my $PAGE = 'docs/conformance.md';
my (%text, %entries);

finds();

my ($rows, $names, @faults) = faults(slurp($PAGE));
cmp_ok $rows, '>', 150, "$PAGE: $rows rows";
cmp_ok $names, '>', 300, "$names names";
is_deeply \@faults, [], 'all of them are there' or diag join "\n", @faults;

done_testing;


sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return scalar <$in>;
}


# How many rows and names a page has, and what is wrong with them.
sub faults {
    my ($page) = @_;
    my ($rows, $names, $n, @faults) = (0, 0, 0);

    for my $line (split /\n/, $page) {
        $n++;
        next if $line !~ /^\|/ || $line =~ /^\|(?: promise \||---)/;
        $rows++;
        my ($promise, $held) = $line =~ /^\| (\S.*?) \|(?: (.*?))? \|$/;
        push @faults, "line $n: no row of two columns" and next
            unless defined $promise;
        my @found = held($held || '');
        $names += grep { ref } @found;
        push @faults, map { "line $n: $_" } grep { !ref } @found;
    }
    return ($rows, $names, @faults);
}


# Of `file` "name", "name"; `file` ...: a reference for each that is there, a
# text for each that is not.
sub held {
    my ($held) = @_;
    my @found;
    my $name = qr/"[^"]+"/;

    for my $part (split /;\s+/, $held) {
        my ($path, $rest) = $part =~ /^`([^`]+)`(?: ($name(?:, $name)*))?$/;
        push @found, "not understood: $part" and next unless defined $path;
        push @found, "no such file: $path" and next unless -e $path;
        my @names = map { /^"(.*)"$/ } ($rest || '') =~ /$name/g;

        # a file of data, or a folder of them, is a test by itself
        if (!@names) {
            push @found, $path =~ m{^t/unit/data/} ? \$path
                                                   : "no name: $path";
            next;
        }
        push @found, map { has($path, $_) ? \$_ : "$path has no \"$_\"" }
                     @names;
    }
    return @found ? @found : 'no test';
}


sub has {
    my ($path, $name) = @_;
    $text{$path} = slurp($path) unless exists $text{$path};

    if ($path =~ /\.json$/) {
        $entries{$path} ||= { map { $_->{name} => 1 }
                              @{decode_json($text{$path})} };
        return $entries{$path}{$name};
    }
    return $text{$path} =~ /"\s*\Q$name\E"/ if $path =~ /\.c$/;
    return $text{$path} =~ /^=== TEST \d+: \Q$name\E$/m
        if $text{$path} =~ /^__DATA__$/m;

    # as a whole, or followed by what tells runs of it apart
    return $text{$path} =~ /(["'])(?:\$\w+:\ )?\Q$name\E
                            (?:\1|(?:,|:|\ on|,\ on)?\ \$)/x;
}


# What is wrong is seen.
sub finds {
    my $good = <<'PAGE';
| promise | held by |
|---|---|
| A | `t/093-conformance.t` "what is good" |
| B | `t/021-versions.t` "replay", "versions" |
| B | `t/100-routes.t` "OPTIONS needs no token" |
| C | `t/unit/data/json/valid`; `t/data/bad_runs.json` "no JSON" |
| D | `t/unit/test_ident.c` "a new id is a version 7 UUID" |
PAGE
    my ($rows, $names, @faults) = faults($good);
    is_deeply [ $rows, $names, @faults ], [ 5, 7 ], 'what is good'
        or diag @faults;

    for ([ '"replay"', '"repla"' ], [ '"versions"', '"version"' ],
         [ '"OPTIONS needs no token"', '"OPTIONS needs no"' ],
         [ '"no JSON"', '"JSON"' ], [ 'version 7 UUID', 'version 8 UUID' ],
         [ 't/100-routes.t', 't/100-none.t' ], [ 'json/valid', 'json/none' ],
         [ ' "no JSON"', '' ], [ ' "what is good"', '' ],
         [ '`t/093-conformance.t` "what is good"', '' ],
         [ '`t/093-conformance.t` "what is good"', 'by reading it' ],
         [ '"replay", ', '"replay" ' ], [ '"no JSON" |', '"no JSON"' ]) {
        my ($what, $with) = @$_;
        (my $bad = $good) =~ s/\Q$what\E/$with/ or die "no $what\n";
        (undef, undef, @faults) = faults($bad);
        is scalar @faults, 1, "seen: $what, $with" or diag join "\n", @faults;
    }
    return;
}
