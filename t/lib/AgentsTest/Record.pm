package AgentsTest::Record;

# Keeps what was asked of the API and what it answered, for t/999-recorded.t,
# which holds all of it against docs/openapi.json.
#
#     AgentsTest::Record::exchange($method, $path, \%headers, $body, \%answer);
#
# does nothing unless AGENTS_RECORD names a folder.  "path" is as it was sent,
# with its query; "body" is bytes, undef where it is not known what came of
# them; the answer is {status, headers, content}.  Names of headers may be in
# any case, values may be lists.
#
# Each process writes a file of its own: a line of JSON and the bytes of both
# bodies for each exchange.  One that is as another before it, but for ids and
# times, is left out, and so is what would make a file larger than $MOST.

use strict;
use warnings;
use Digest::MD5 ();
use JSON::PP ();

our $MOST = 48 * 1024 * 1024;

my $json = JSON::PP->new->utf8->canonical;
my @HEADERS = qw(allow content-type etag idempotency-replayed location
                 retry-after www-authenticate);
my ($out, $pid, $bytes, %seen);


sub exchange {
    my ($method, $path, $headers, $body, $answer) = @_;
    my $folder = $ENV{AGENTS_RECORD} or return;
    return if $method eq 'TRACE';      # nginx refuses it before any location
    return if $answer->{status} !~ /^[1-5]\d\d$/ || $path !~ m{^/+agents};
    return if $answer->{status} == 599;     # HTTP::Tiny's own: none came

    my $content = defined $answer->{content} ? $answer->{content} : '';
    return if named($answer->{headers}, 'content-encoding');

    # nginx refuses some requests before it has chosen a location
    my (undef, $type) = named($answer->{headers}, 'content-type');
    return if $answer->{status} == 400 && ($type || '') eq 'text/html';

    my (undef, $length) = named($answer->{headers}, 'content-length');
    return if $method ne 'HEAD' && defined $length
              && $length != length $content;      # it was cut off

    my (undef, $sent) = named($headers, 'content-type');
    my %line = (method => $method, path => $path,
                type => $sent, status => $answer->{status} + 0,
                request => defined $body ? length $body : undef,
                response => length $content,
                headers => { named($answer->{headers}, @HEADERS) });

    my $shape = join "\0", $json->encode(\%line),
                           defined $body ? $body : '', $content;
    $shape =~ s/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/id/g;
    $shape =~ s/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/time/g;
    $shape =~ s/\b[0-9a-f]{32}\b/hash/g;
    utf8::encode($shape) if utf8::is_utf8($shape);

    reopen($folder) if !defined $pid || $pid != $$;
    return if $seen{Digest::MD5::md5($shape)}++;

    my $text = join '', $json->encode(\%line), "\n",
                        defined $body ? $body : '', $content;
    $bytes += length $text;
    return if $bytes > $MOST;
    print {$out} $text or die "$folder: $!\n";
    $out->flush;
    return;
}


# A child goes on in a file of its own.
sub reopen {
    my ($folder) = @_;
    $pid = $$;
    $bytes = 0;
    %seen = ();
    mkdir $folder;
    open $out, '>>:raw', "$folder/$$.exchanges" or die "$folder: $!\n";
    return;
}


# Those of these headers that are there, as a list of name and value.
sub named {
    my ($headers, @names) = @_;
    my %lower = map { lc $_ => $headers->{$_} } keys %{$headers || {}};
    return map { my $value = $lower{$_};
                 defined $value
                     ? ($_ => ref $value ? join(', ', @$value) : $value)
                     : () } @names;
}


1;
