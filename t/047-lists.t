# Lists and messages that are long: whole, in order, and in bounded memory; and
# the list of runs while one of them is under way.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use JSON::PP;
use AgentsTest;

my $t;

for my $store (AgentsTest->stores) {
    $t = AgentsTest->new(store => $store, workers => 1);
    $t->start;
    subtest "a run under way on $store" => \&live;
    subtest "long messages on $store" => \&messages;
    subtest "a long list of runs on $store" => \&runs;
    subtest "large conversations on $store" => \&conversations;
    subtest "conversations of one moment on $store" => \&one_moment;
    $t->clean("$store: nginx stopped, no error logged");
}

done_testing;


# A GET whose body is left as it is: decoding much JSON in Perl takes long.
sub body {
    my ($path, %o) = @_;
    my $answer = HTTP::Tiny->new(timeout => 70)->get($t->base . $path,
        { headers => { Authorization => 'Bearer ' . $t->token(%o) } });
    is $answer->{status}, 200, "GET $path";
    return $answer->{content};
}


# A text of a million characters, in SQL.
sub million {
    return $t->{postgres} ? "repeat('x', 1000000)"
                          : "replace(printf('%1000000s', ''), ' ', 'x')";
}


# The most that the worker has held, in KiB; what of SQLite's file is mapped
# counts, too.
sub peak {
    my ($pid) = $t->workers;
    my ($kib) = AgentsTest::slurp("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m;
    return $kib;
}


sub reset_peak {
    my ($pid) = $t->workers;
    open my $out, '>', "/proc/$pid/clear_refs" or return;
    print $out "5\n";
    return close $out;
}


# What a GET adds to the most that the worker has held.
sub small {
    my ($path, %o) = @_;
    my $reset = reset_peak();
    my $before = peak();
    my $body = body($path, %o);
    my $grown = (peak() - $before) / 1024;
    my ($file) = $t->store =~ /^sqlite:(.*)/;
    my $mapped = $file ? (-s $file) / 1024 / 1024 : 0;

    SKIP: {
        skip 'no peak to be had here', 1 unless $reset && $before;
        skip 'a sanitizer keeps what is freed', 1 if $ENV{ASAN_OPTIONS};
        cmp_ok $grown, '<', 16 + $mapped, 'in bounded memory';
    }
    return $body;
}


sub live {
    my $conversation = $t->conversation(mcp => '');
    my $path = "/agents/conversations/$conversation->{id}/runs";
    my $first = $t->finished($t->run($conversation, 'before'));
    my $run = $t->run($t->reread($conversation), script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ],
                     [ 'mcp-add', { a => 3, b => 4 } ] ] },
        { text => 'x', delay => 2 }));

    # the same body between two reads of the run: no time for another state
    my ($list, $seen);
    $t->wait_for(20, sub {
        my $before = $t->get("/agents/runs/$run->{id}")->{json};
        $list = $t->get($path)->{json};
        my $after = $t->get("/agents/runs/$run->{id}")->{json};
        $seen = $after;
        return JSON::PP->new->canonical->encode($before)
                   eq JSON::PP->new->canonical->encode($after)
               && @{$before->{live}{messages}} == 2
               && @{$before->{live}{messages}[1]{content_blocks}} == 2;
    }) or fail 'the turns were never seen';

    is_deeply $list->{records}, [ $seen, $first ],
              'with its live turns, before the one that has ended';
    is $list->{total_records}, 2, 'each counts once';

    my $one = $t->get("$path?per_page=1&page=2")->{json};
    is_deeply $one->{records}, [ $first ], 'a page is of runs, not of parts';

    my $ended = $t->finished($run);
    is_deeply $t->get($path)->{json}{records}, [ $ended, $first ],
              'none once it has ended';
    return;
}


# Forty messages of a million characters.
sub messages {
    my $conversation = $t->conversation;
    my $id = $conversation->{id};
    my $path = "/agents/conversations/$id/messages";
    my $text = million();

    $t->sql(qq{INSERT INTO agents_messages (company_id, user_id, conversation_id,
        sequence_no, part, turn_index, live, created_at, role, run_id, content)
        SELECT 'acme', 'ann', '$id', n, 0, 0, 0, n, 'user', '$id',
        '[{"type":"text","text":"' || $text || '"}]' FROM (}
        . join(' UNION ALL ', map { "SELECT $_ AS n" } 1 .. 40) . qq{) numbers;
        UPDATE agents_conversations SET version = 40 WHERE id = '$id';});

    my $all = small($path);
    cmp_ok length $all, '>', 40_000_000, 'all of them';
    is_deeply [ $all =~ /"sequence_no":(\d+)/g ], [ 1 .. 40 ], 'in order';
    like substr($all, -20), qr/\],"has_more":false\}\z/, 'there is no more';

    my ($since, $joined, @pages) = (0, '');
    while (@pages < 10) {
        my $page = small("$path?since=$since&limit=1000");
        cmp_ok length $page, '<=', 8 * 1024 * 1024, 'ends at 8 MiB';
        my @numbers = $page =~ /"sequence_no":(\d+)/g;
        push @pages, scalar @numbers;
        $since = $numbers[-1];
        $page =~ /^\{"current_version":40,"messages":\[(.*)\],"has_more":(\w+)\}\z/s;
        $joined .= ',' if length $joined;
        $joined .= $1;
        is $2, $since < 40 ? 'true' : 'false', 'has_more is exact';
        last if $2 ne 'true';
    }
    ok $all eq qq({"current_version":40,"messages":[$joined],"has_more":false}),
       'the pages make the whole';
    is "@pages", '8 8 8 8 8', 'messages a page';

    my $one = small("$path?since=4&limit=1");
    is_deeply [ $one =~ /"sequence_no":(\d+)/g ], [ 5 ], 'limit=1: one';
    like $one, qr/"has_more":true\}\z/, 'there is more';
    like body("$path?since=38&limit=2"), qr/"has_more":false\}\z/,
         'not after the last two';
    return;
}


# More than a slice of them, by number.
sub runs {
    my $conversation = $t->conversation;
    my $path = "/agents/conversations/$conversation->{id}/runs";
    my $last = $t->finished($t->run($conversation, 'x'));
    my $columns = join ', ', qw(client_op_id api fingerprint status epoch
        takeovers rev base_version cancel iterations_used prompt_tokens
        completion_tokens total_tokens cache_read_tokens cache_write_tokens
        finished_at job_ids pending_tool_calls tool_choice effective_config
        payload);
    my @ids = map { AgentsTest::uuid() } 1 .. 140;

    # in pairs of the same time: then the id decides
    $t->sql(join '', map { my $at = 1000 + int($_ / 2);
        "INSERT INTO agents_runs (company_id, user_id, id, conversation_id,
         client_op_key, created_at, $columns)
         SELECT company_id, user_id, '$ids[$_]', conversation_id, '$ids[$_]',
         $at, $columns FROM agents_runs WHERE id = '$last->{id}';\n"
    } 0 .. 139);

    my @order = ($last->{id}, map { $ids[$_] } sort {
        int($b / 2) <=> int($a / 2) || $ids[$b] cmp $ids[$a] } 0 .. 139);
    my $list = body("$path?per_page=1000");
    is_deeply [ $list =~ /\{"id":"([^"]+)/g ], \@order, 'all, in order';
    for my $query ('', '?page=1', '?per_page=50') {
        is_deeply [ body($path . $query) =~ /\{"id":"([^"]+)/g ],
                  [ @order[0 .. 49] ], "50 of them: $query";
    }
    like body("$path?page=3"), qr/^\{"prev_page":2,"current_page":3,
         "next_page":null,"total_records":141,"total_pages":3,/x,
         'which makes three pages';
    for (1 .. 3) {
        is_deeply [ body("$path?per_page=67&page=$_") =~ /\{"id":"([^"]+)/g ],
            [ grep { defined } @order[67 * ($_ - 1) .. 67 * $_ - 1] ],
            "page $_ of 67";
    }
    return;
}


# Conversations of a million characters each.
sub conversations {
    my @as = (user => 'large');
    my @made = map { $t->conversation(as => { @as }, name => "c$_") } 1 .. 40;
    my $text = million();

    $t->sql("UPDATE agents_conversations SET system_prompt = $text"
        . " WHERE user_id = 'large';");

    my $list = small('/agents/conversations?per_page=1000', @as);
    cmp_ok length $list, '>', 40_000_000, 'all of them';
    is_deeply [ $list =~ /"name":"(c\d+)"/g ], [ map { "c$_" } reverse 1 .. 40 ],
              'in order';
    like $list, qr/^\{"prev_page":null,.{0,90}"total_records":40,/, 'counted';
    is_deeply [ small('/agents/conversations?per_page=5&page=2', @as)
                =~ /"name":"(c\d+)"/g ], [ map { "c$_" } reverse 31 .. 35 ],
              'a page of it';
    return;
}


# More than a page of them, of two moments: then the id decides.
sub one_moment {
    my @as = (user => 'moment');
    my $path = '/agents/conversations';
    my @ids = sort map { $t->conversation(as => { @as })->{id} } 1 .. 55;
    my $late = join ', ', map { "'$ids[$_ * 2]'" } 0 .. 9;

    $t->sql("UPDATE agents_conversations SET created_at = CASE WHEN id IN ($late)"
        . " THEN 2000 ELSE 1000 END WHERE user_id = 'moment';");

    my @order = ((grep { $late =~ /$_/ } reverse @ids),
                 (grep { $late !~ /$_/ } reverse @ids));
    my $list = body($path, @as);
    is_deeply [ $list =~ /\{"id":"([^"]+)/g ], [ @order[0 .. 49] ],
              '50 of them, newest first, then by id';
    is_deeply [ body("$path?page=2", @as) =~ /\{"id":"([^"]+)/g ],
              [ @order[50 .. 54] ], 'the rest';
    return;
}
