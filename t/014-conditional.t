# ETag, If-None-Match and If-Match: a tag is the body's, a client that has the
# body is told so, and nothing that is private may be kept by shared caches.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $never = '01890000-0000-7000-8000-000000000000';
my $t;

for my $store (AgentsTest->stores) {
    $t = AgentsTest->new(store => $store, location =>
        'gzip on; gzip_types application/json; gzip_min_length 1;');
    $t->start;

    my $conversation = $t->conversation;
    my $run = $t->finished($t->run($conversation, 'hello'));

    for my $path ("/agents/conversations/$conversation->{id}",
                  "/agents/runs/$run->{id}") {
        subtest "$store: tags of $path" => sub { tags($path) };
        subtest "$store: If-None-Match of $path" => sub { none_match($path) };
        subtest "$store: If-Match of $path" => sub { match($path) };
    }
    subtest "$store: compressed" => sub { gzip("/agents/runs/$run->{id}") };
    subtest "$store: a tag for each body" => \&bodies;
    subtest "$store: no tag" => sub { without($conversation) };
    subtest "$store: what is not there" => sub { missing($run) };
    $t->clean("$store: nginx stopped, no error logged");
}

done_testing;


sub with { return (headers => { @_ }) }


sub tags {
    my ($path) = @_;
    my $first = $t->get($path);
    my $etag = $first->{headers}{etag};

    like $etag, qr/^"[0-9a-f]{32}"$/, 'a strong ETag';
    is $first->{headers}{'cache-control'}, 'private, no-cache',
       'Cache-Control';
    is $t->get($path)->{headers}{etag}, $etag, 'the same body, the same tag';

    my $head = $t->request('HEAD', $path);
    is $head->{headers}{etag}, $etag, 'HEAD has it too';
    is $head->{headers}{'content-length'}, length $first->{content},
       'and the length';
    return;
}


sub none_match {
    my ($path) = @_;
    my $full = $t->get($path);
    my $etag = $full->{headers}{etag};

    for my $list ($etag, "W/$etag", "\"x\", $etag", "W/\"a,b\",$etag", '*') {
        for my $method ('GET', 'HEAD') {
            my $answer = $t->request($method, $path, undef,
                                     with('If-None-Match' => $list));
            is $answer->{status}, 304, "$method, If-None-Match: $list";
            is $answer->{headers}{etag}, $etag, 'the tag';
            is $answer->{headers}{'cache-control'}, 'private, no-cache',
               'Cache-Control';
            ok !exists $answer->{headers}{$_}, "no $_"
                for 'content-type', 'content-length', 'transfer-encoding';
        }
    }

    for my $list ('"x"', 'W/"x"', substr($etag, 1, -1), "\"x$etag", '') {
        my $answer = $t->get($path, with('If-None-Match' => $list));
        is $answer->{status}, 200, "If-None-Match: $list";
        is $answer->{content}, $full->{content}, 'the whole';
    }

    my $token = $t->token;
    my $raw = $t->raw("GET $path HTTP/1.1\r\nHost: x\r\n"
                      . "Authorization: Bearer $token\r\n"
                      . "If-None-Match: $etag\r\nConnection: close\r\n\r\n");
    like $raw, qr{^HTTP/1\.1 304 [^\n]+\n(?:[^\r\n]+\r\n)+\r\n\z},
       'not a byte behind the headers';

    # with a tag the date does not count, and without one there is none
    my $date = 'Mon, 01 Jan 2035 00:00:00 GMT';
    is $t->get($path, with('If-None-Match' => $etag,
                           'If-Modified-Since' => $date))->{status}, 304,
       'If-Modified-Since beside it';
    is $t->get($path, with('If-Modified-Since' => $date))->{status}, 200,
       'If-Modified-Since alone';
    return;
}


sub match {
    my ($path) = @_;
    my $etag = $t->get($path)->{headers}{etag};

    for my $list ($etag, "\"x\", $etag", '*') {
        is $t->get($path, with('If-Match' => $list))->{status}, 200,
           "If-Match: $list";
    }
    for my $list ('"x"', "W/$etag") {
        my $answer = $t->get($path, with('If-Match' => $list));
        is $answer->{status}, 412, "If-Match: $list";
        is $answer->{headers}{'content-type'}, 'application/problem+json',
           'a problem';
        is $answer->{json}{type}, $t->base . '/errors/precondition-failed',
           'precondition-failed';
        is $answer->{headers}{etag}, undef, 'no tag';
    }
    is $t->get($path, with('If-Match' => '"x"', 'If-None-Match' => $etag))
         ->{status}, 412, 'If-Match goes first';
    is $t->get($path, with('If-Unmodified-Since' =>
                           'Mon, 01 Jan 2001 00:00:00 GMT'))->{status}, 200,
       'If-Unmodified-Since has no date to judge by';
    return;
}


sub gzip {
    my ($path) = @_;
    my $etag = $t->get($path)->{headers}{etag};
    my $zipped = $t->get($path, with('Accept-Encoding' => 'gzip'));

    is $zipped->{headers}{'content-encoding'}, 'gzip', 'compressed';
    is $zipped->{headers}{etag}, "W/$etag", 'the tag is a weak one';

    my $again = $t->get($path, with('Accept-Encoding' => 'gzip',
        'If-None-Match' => $zipped->{headers}{etag}));
    is $again->{status}, 304, 'which is as good to ask with';
    ok !exists $again->{headers}{'content-encoding'}, 'no coding of it';
    return;
}


# A run on its way, its live view included: a tag for each body it has.
sub bodies {
    my $conversation = $t->conversation(mcp => '');
    my $run = $t->run($conversation, script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { tools => [ [ 'mcp-add', { a => 3, b => 4 } ] ], delay => 0.5 },
        { text => 'x' }));
    my (%body, %tag, $last);

    $t->wait_for(30, sub {
        my $answer = $t->get("/agents/runs/$run->{id}");
        my $etag = $answer->{headers}{etag};
        $body{$etag}{$answer->{content}} = 1;
        $tag{$answer->{content}}{$etag} = 1;
        $last = $answer->{json}{status};
        $last !~ /pending|running/;
    });
    is $last, 'completed', 'a run with tools';
    cmp_ok scalar keys %tag, '>', 1, 'more than one state was seen';
    is scalar(grep { keys %$_ > 1 } values %body), 0, 'no tag of two bodies';
    is scalar(grep { keys %$_ > 1 } values %tag), 0, 'no body of two tags';
    return;
}


sub without {
    my ($conversation) = @_;
    my $list = '/agents/conversations';

    for my $path ($list, "$list/$conversation->{id}/messages") {
        for my $answer ($t->get($path),
                        $t->get($path, with('If-Match' => '"x"')),
                        $t->get($path, with('If-None-Match' => '*')),
                        $t->get($path, with('If-Unmodified-Since' =>
                                    'Mon, 01 Jan 2001 00:00:00 GMT'))) {
            is $answer->{status}, 200, "$path has no conditions";
            is $answer->{headers}{etag}, undef, 'no tag';
            is $answer->{headers}{'cache-control'}, 'private, no-cache',
               'Cache-Control';
        }
    }
    is $t->get($list, token => undef)->{headers}{'cache-control'}, undef,
       'what is told to anyone is private to no one';
    return;
}


sub missing {
    my ($run) = @_;
    my $etag = $t->get("/agents/runs/$run->{id}")->{headers}{etag};

    for my $list ('*', $etag) {
        for my $id ($run->{id}, $never) {
            my $answer = $t->get("/agents/runs/$id", user => 'bob',
                                 with('If-None-Match' => $list));
            is $answer->{status}, 404, "If-None-Match: $list of another: 404";
            is $answer->{headers}{etag}, undef, 'no tag';
            is $t->get("/agents/runs/$id", user => 'bob',
                       with('If-Match' => $list))->{status}, 404,
               'If-Match: 404';
        }
    }
    return;
}
