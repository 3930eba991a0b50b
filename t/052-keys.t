# A provider's key: a file of it is read again on reload, and it is in nothing that
# is kept, whatever the provider says of it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $model = AgentsTest::Model::handler();
my @keys = ('sk-first-0123456789abcdef', 'sk-second-fedcba9876543210');

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store, workers => 1,
        handlers => { '/v1/chat/completions' => \&reply },
        provider => 'retries 1;',
        replace => { 'error.log info' => 'error.log debug',
                     'api_key test-key;' => 'api_key file:%PREFIX%/key;' });
    $t->{http_client} = HTTP::Tiny->new(keep_alive => 0, timeout => 70);
    key($t, $keys[0]);
    $t->start;
    subtest "keys on $store" => sub { keys_of($t) };
    $t->clean("$store: no error logged");
}

done_testing;


sub key {
    my ($t, $key) = @_;
    open my $out, '>', "$t->{prefix}/key" or die "key: $!\n";
    print $out "$key\n";
    close $out or die "key: $!\n";
    return;
}


# Says the key that it was sent, where the message wants that.
sub reply {
    my ($req) = @_;
    my ($status) = $req->{body} =~ /answer (\d{3})/ or return $model->($req);
    return { status => $status, headers => { 'Retry-After-Ms' => 10 },
             json => { error => { message => 'what is this: '
                                  . $req->{headers}{authorization} } } };
}


sub keys_of {
    my ($t) = @_;
    my @kept;

    for my $key (@keys) {
        if ($key ne $keys[0]) {
            key($t, $key);
            $t->reload(gone => 1);
        }

        ok $t->wait_for(20, sub {
            $t->finished($t->run($t->conversation(name => 'named'), 'first'));
            return sent($t) eq "Bearer $key";
        }), 'the key is sent';

        for my $text ('hello', 'answer 401', 'answer 503') {
            my $c = $t->conversation(name => 'named');
            my $run = $t->finished($t->run($c, $text));
            push @kept, $t->get("/agents/runs/$run->{id}")->{content};
            is $run->{status}, $text eq 'hello' ? 'completed' : 'failed', $text;
            like $run->{error}{message}, qr/\[api key\]/, '    without the key'
                if $run->{error};
        }
        is sent($t), "Bearer $key", 'none but this';
    }

    my @rows = map { $t->sql("SELECT * FROM $_") }
               qw(agents_runs agents_messages agents_conversations);
    like $t->log, qr/\[debug\]/, 'the log has all there is' if debug();
    my $all = join "\n", @kept, $t->log, $t->access_log,
                         map { ref $_ ? JSON::PP->new->encode($_) : $_ // '' }
                         @rows;
    unlike $all, qr/\Q$_\E|\Q@{[ substr $_, 3 ]}\E/, 'it is nowhere' for @keys;
    return;
}


# What the model was shown last.
sub sent {
    my ($t) = @_;
    my ($last) = grep { $_->{path} =~ /completions/ }
                 reverse @{$t->mock->requests};
    return $last->{headers}{authorization};
}


sub debug {
    my $binary = AgentsTest::binary();
    return `$binary -V 2>&1` =~ /--with-debug/;
}
