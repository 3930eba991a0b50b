# agentsctl schema normalize: a schema comes on stdin and goes out as a model
# gets it, without a store.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp ();
use JSON::PP;
use Test::More;
use AgentsTest;

my $dir = File::Temp->newdir;
my $json = JSON::PP->new->canonical->allow_nonref;

subtest 'schemas' => \&schemas;
subtest 'what is no object schema' => \&others;
subtest 'what is no JSON' => \&faults;
subtest 'the command line' => \&usage;

done_testing;


# Exit status, stdout, stderr.
sub normalize {
    my ($input, @args) = @_;
    local $ENV{AGENTS_STORE};
    open my $in, '>', "$dir/in" or die "$dir/in: $!\n";
    print $in $input;
    close $in or die "$dir/in: $!\n";
    my $ctl = AgentsTest::build_dir() . '/agentsctl';
    my $status = system "$ctl schema normalize @args"
                        . " <$dir/in >$dir/out 2>$dir/err";
    return ($status >> 8, map { AgentsTest::slurp("$dir/$_") } qw(out err));
}


sub schemas {
    my ($status, $out, $err) = normalize(<<'SCHEMA');
{"type": "object",
 "properties": {"when": {"type": ["string", "null"], "format": "date"},
                "who": {"$ref": "#/$defs/person"}},
 "$defs": {"person": {"oneOf": [{"type": "string"}, {"$ref": "#"}]}}}
SCHEMA
    is $status, 0, 'exit status 0';
    is $err, '', 'nothing on stderr';
    like $out, qr/\A[^\n]+\n\z/, 'one line';
    is_deeply $json->decode($out), { type => 'object',
        properties => {
            when => { anyOf => [ { type => 'string' }, { type => 'null' } ],
                      description => '(format: date)' },
            who => { anyOf => [ { type => 'string' }, {} ] } },
        additionalProperties => JSON::PP::false }, 'the schema';

    my ($again, $same) = normalize($out);
    is $same, $out, 'it is as it was when it is read again';
    return;
}


sub others {
    for my $text ('null', '[]', '"x"', '{"type": "array"}',
                  '{"a":' x 5000 . '{}' . '}' x 5000)
    {
        my ($status, $out) = normalize($text);
        my $name = substr $text, 0, 20;
        is $status, 0, "$name: exit status 0";
        is $json->decode($out)->{type}, 'object', 'an object';
    }
    my ($status, $out) = normalize('{"type": "string", "description": "A."}');
    like $json->decode($out)->{description}, qr/^A\. \(.+\)$/,
         'a note says what became of it';
    return;
}


sub faults {
    for (['', 'nothing'], ['{"a": 1', 'half an object'],
         ["{}\n x", 'text behind'])
    {
        my ($status, $out, $err) = normalize($_->[0]);
        is $status, 1, "$_->[1]: exit status 1";
        is $out, '', 'nothing on stdout';
        like $err, qr/^agentsctl: stdin is no JSON: .+ \(line \d+, column \d+\)$/,
             'line and column';
    }
    my ($status, $out, $err) = normalize('"' . 'x' x (17 * 1024 * 1024) . '"');
    is $status, 1, 'too much: exit status 1';
    like $err, qr/longer than/, 'it says so';
    return;
}


sub usage {
    my ($status, $out, $err) = normalize('{}', 'file.json');
    is $status, 2, 'an argument is too much: exit status 2';
    like $err, qr/agentsctl schema normalize/, 'how it is called';

    ($status, $out, $err) = normalize('{}', '--help');
    is $status, 0, '--help';
    like $out, qr/agentsctl schema normalize\n +read/, 'it is listed';
    return;
}
