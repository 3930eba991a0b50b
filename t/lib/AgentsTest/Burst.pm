package AgentsTest::Burst;

# Many requests at the same moment, each on its own connection.
#
#     my @answers = burst($t, [ 'POST', $path, $body, %options ], ...);
#
# All connections are open before the first byte goes out.  The answers, in
# the order of the requests, are {status, headers, content, json} as those of
# AgentsTest; status 0 means that none came.  Options are AgentsTest's.
#
#     request_bytes($t, $method, $path, $body, %options)
#
# gives the bytes of such a request, for tests that send half of them.

use strict;
use warnings;
use parent 'Exporter';
use JSON::PP;
use Time::HiRes qw(time);
use AgentsTest::Record;

our @EXPORT = qw(burst request_bytes);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;


sub request_bytes {
    my ($t, $method, $path, $body, %o) = @_;
    my %headers = (Host => 'localhost', Connection => 'close',
                   Authorization => 'Bearer ' . $t->token(%o),
                   %{$o{headers} || {}});

    if (defined $body) {
        $body = $json->encode($body) if ref $body;
        $headers{'Content-Type'} = 'application/json';
        $headers{'Content-Length'} = length $body;
    }
    return join("\r\n", "$method $path HTTP/1.1",
                (map { "$_: $headers{$_}" } sort keys %headers), '', '')
           . (defined $body ? $body : '');
}


sub burst {
    my ($t, @requests) = @_;
    my @open = map { { bytes => request_bytes($t, @$_), in => '' } } @requests;

    $_->{socket} = $t->socket for @open;
    syswrite $_->{socket}, $_->{bytes} for @open;

    my $end = time + 30;
    while (my @left = grep { !$_->{done} } @open) {
        last if time > $end;
        my $rin = '';
        vec($rin, fileno $_->{socket}, 1) = 1 for @left;
        select($rin, undef, undef, 1) > 0 or next;

        for (grep { vec($rin, fileno $_->{socket}, 1) } @left) {
            $_->{done} = 1 unless
                sysread $_->{socket}, $_->{in}, 65536, length $_->{in};
        }
    }
    return map { recorded($requests[$_], answer($open[$_]{in})) }
           0 .. $#requests;
}


sub recorded {
    my ($request, $answer) = @_;
    my ($method, $path, $body, %o) = @$request;
    $body = $json->encode($body) if ref $body;
    AgentsTest::Record::exchange($method, $path,
        defined $body ? { 'Content-Type' => 'application/json' } : {}, $body,
        $answer);
    return $answer;
}


sub answer {
    my ($text) = @_;
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    return { status => 0, headers => {}, content => $text }
        unless defined $body && $head =~ m{^HTTP/1\.\d (\d+)};

    my $status = $1;
    my %headers = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () }
                  split /\r\n/, $head;
    $body = unchunked($body)
        if ($headers{'transfer-encoding'} || '') eq 'chunked';
    return { status => $status, headers => \%headers, content => $body,
             json => scalar eval { $json->decode($body) } };
}


sub unchunked {
    my ($text) = @_;
    my $body = '';
    while ($text =~ s/^([0-9a-fA-F]+)[^\r\n]*\r\n//) {
        my $size = hex $1 or last;
        $body .= substr $text, 0, $size;
        substr($text, 0, $size + 2) = '';
    }
    return $body;
}


1;
