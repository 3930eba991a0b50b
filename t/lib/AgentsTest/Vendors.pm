package AgentsTest::Vendors;

# Bodies of requests, held to what the vendors' own libraries say of them: the
# types of their SDKs, by TypeScript's compiler, and for Converse the schemas
# that AWS's SDK serialises by.
#
#     plan skip_all => AgentsTest::Npm::why()
#         unless AgentsTest::Vendors::available();
#     my @wrong = AgentsTest::Vendors::wrong(
#         anthropic => [ $body, ... ], ...);       # JSON texts
#
# What is wrong comes as "PROTOCOL N: words", where N is the body's place in its
# list.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path ();
use File::Temp ();
use AgentsTest ();
use AgentsTest::Npm;

my $SCHEMAS = dirname(__FILE__) . '/converse.js';

my %PACKAGES = (
    'typescript' => '5.9.3',
    'openai' => '7.57.0',
    '@anthropic-ai/sdk' => '1.14.0',
    '@aws-sdk/client-bedrock-runtime' => '3.1164.0',
);

# The newest Messages API has no temperature; the version that is asked for has.
my %TYPES = (
    openai => [ 'import type OpenAI from "openai";',
                'OpenAI.Chat.ChatCompletionCreateParams' ],
    anthropic => [ 'import type Anthropic from "@anthropic-ai/sdk";',
        'Anthropic.MessageCreateParams & { temperature?: number }' ],
    bedrock => [ 'import type { ConverseCommandInput }'
        . ' from "@aws-sdk/client-bedrock-runtime";',
        'Omit<ConverseCommandInput, "modelId">' ],
);


sub available { return defined AgentsTest::Npm::packages(%PACKAGES) }


sub wrong {
    my (%bodies) = @_;
    my $top = AgentsTest::build_dir() . '/npm';
    my $dir = File::Temp->newdir('bodies-XXXXXX', DIR => $top);

    return (types($top, $dir, %bodies),
            $bodies{bedrock} ? schemas($dir, $bodies{bedrock}) : ());
}


# Each body is a constant of the type; the compiler's complaints go by line.
sub types {
    my ($top, $dir, %bodies) = @_;
    my @wrong;

    for my $protocol (sort keys %bodies) {
        my ($import, $type) = @{$TYPES{$protocol}};
        my $n = 0;
        # what is base64 on the wire is bytes in the type
        my @texts = map { s/("redactedContent":)"[^"]*"/$1new Uint8Array()/gr }
                    @{$bodies{$protocol}};
        save("$dir/$protocol.ts", join "\n", $import, map {
            'export const n' . $n++ . ": $type = $_;" } @texts);
    }

    my ($status, $text) = said(AgentsTest::Npm::node_binary(),
        "$top/node_modules/typescript/bin/tsc", qw(--noEmit --strict
        --skipLibCheck --module nodenext --target es2022),
        map { "$dir/$_.ts" } sort keys %bodies);

    for my $line (split /\n/, $text) {
        push @wrong, $line =~ /(\w+)\.ts\((\d+),\d+\): (.*)/
                     ? "$1 " . ($2 - 2) . ": $3" : $line;
    }
    return @wrong, $status && !@wrong ? "the compiler failed: $status" : ();
}


sub schemas {
    my ($dir, $bodies) = @_;
    save("$dir/converse.json", '[' . join(',', @$bodies) . ']');
    my ($status, $text) = said(AgentsTest::Npm::node_binary(), $SCHEMAS,
        AgentsTest::build_dir() . '/npm', "$dir/converse.json");
    my @wrong = map { "bedrock $_" } split /\n/, $text;
    return @wrong, $status && !@wrong ? "node failed: $status" : ();
}


sub save {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


sub said {
    my (@command) = @_;
    my $pid = open my $out, '-|';
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec @command;
        exit 127;
    }
    my $text = do { local $/; <$out> };
    close $out;
    return ($?, defined $text ? $text : '');
}


1;
