package AgentsTest::Openapi;

# What works with docs/openapi.json: the tools from npm, and the check of
# recorded exchanges.

use strict;
use warnings;
use AgentsTest ();
use AgentsTest::Npm;

our $DOCUMENT = "$AgentsTest::TOP/docs/openapi.json";

my %TOOLS = (
    'ajv' => '8.20.0',
    'ajv-formats' => '3.0.1',
    '@redocly/cli' => '2.77.0',
    'openapi-fetch' => '0.17.0',
    'openapi-typescript' => '7.13.0',
    'typescript' => '5.9.3',
);


# The folder that they are in, or nothing where npm cannot get them.
sub tools { return AgentsTest::Npm::packages(%TOOLS) }


# Runs one of their programs: (exit status, lines of output).
sub node {
    my ($program, @arguments) = @_;
    my $modules = tools();
    local $ENV{NODE_PATH} = $modules;
    local $ENV{REDOCLY_TELEMETRY} = 'off';
    local $ENV{REDOCLY_SUPPRESS_UPDATE_NOTICE} = 'true';
    $program = "$modules/$program" if $program !~ m{^/};

    my $pid = open my $out, '-|';
    die "fork: $!\n" unless defined $pid;
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec AgentsTest::Npm::node_binary(), $program, @arguments;
        exit 127;
    }
    my @lines = <$out>;
    close $out;
    chomp @lines;
    return ($? >> 8 || $?, @lines);
}


# Holds a folder of exchanges against the document: (exit status, findings,
# a summary).
sub check {
    my (@arguments) = @_;
    my $folder = pop @arguments;
    return node("$AgentsTest::TOP/t/openapi/check.js", @arguments, $DOCUMENT,
                $folder);
}


1;
