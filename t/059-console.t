# The console's own page and script, in jsdom, against a server: what a user
# does, and that nothing from outside becomes more than text.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Npm;

my $modules = AgentsTest::Npm::packages(jsdom => '26.1.0');
plan skip_all => AgentsTest::Npm::why() unless defined $modules;

my $CONFIRM = { name => 'confirm', input_schema => { type => 'object' } };

my $t = AgentsTest->new(store => 'sqlite',
    server => 'location /console/ { agents_console; }')->start;
my $open = AgentsTest->new(store => 'sqlite',
    auth => 'agents_auth variables acme ann "read write";',
    server => 'location /v1/ { rewrite ^/v1(/.*)$ $1; }'
              . 'location /console { agents_console /v1/agents; }')->start;

$t->conversation(name => "number $_") for 1 .. 27;
$open->conversation;

# one process for all: it takes a while to load
my @scenarios = (
    [ 'a token, and the list', 'token' ],
    [ 'a new conversation', 'create' ],
    [ 'a run as it goes', run => (mcp => '') ],
    [ 'tools of the caller, and cancelling', tools => (tools => [ $CONFIRM ]) ],
    [ 'streams that end early', cut => (mcp => '') ],
    [ 'markup from outside', evil => (mcp => '', tools => [ $CONFIRM ]) ],
    [ 'no token, another path', 'variables' ],
);
my %checks;
push @{$checks{$_->{scenario}}}, $_ for drive(map { given(@$_) } @scenarios);

for (@scenarios) {
    my ($name, $scenario) = @$_;
    subtest $name => sub {
        for my $check (@{$checks{$scenario}}) {
            ok $check->{ok}, $check->{name} or diag explain $check->{seen};
        }
        command($checks{create}) if $scenario eq 'create';
    };
}

$t->clean('no error logged');
$open->clean('no error logged there');

done_testing;


# What a scenario of console.js has to know.
sub given {
    my ($name, $scenario, %defaults) = @_;
    return { scenario => $scenario, base => $open->base }
        if $scenario eq 'variables';
    return { scenario => $scenario, base => $t->base, token => $t->token,
             model => $AgentsTest::MODEL, plane => $AgentsTest::PLANE,
             mcp => $t->mcp, conversation => %defaults
                 ? $t->conversation(%defaults)->{id} : undef };
}


sub drive {
    open my $out, '-|', AgentsTest::Npm::node_binary(),
        "$FindBin::Bin/lib/AgentsTest/console.js", $modules,
        JSON::PP::encode_json(\@_) or die "node: $!\n";
    my @checks = map { JSON::PP::decode_json($_) } <$out>;
    close $out;
    is $?, 0, 'all of them were driven';
    return @checks;
}


# What the page shows as curl does what the page did.
sub command {
    my ($checks) = @_;
    my ($command) = map { $_->{seen} } grep { $_->{name} eq 'as curl' } @$checks;
    like $command, qr/^curl -X POST 'http:.*it'\\''s a name/s, 'the command';
    unlike $command, qr/\Q@{[$t->token]}\E/, 'has no token';
    local $ENV{TOKEN} = $t->token;
    my $made = JSON::PP::decode_json(qx($command --silent --fail));
    is $made->{name}, "it's a name", 'and a shell takes it as it stands';
    is $made->{defaults}{max_iterations}, 8, 'with its numbers';
    return;
}
