package Test::Nginx::Socket;

# A small reader of the Test::Nginx::Socket block format, for machines without
# CPAN's module: what it understands means here what it means there, so that
# the .t files run under either.
#
#     use Test::Nginx::Socket 'no_plan';
#     run_tests();
#     __DATA__
#     === TEST 1: a name
#     --- config
#         location /a { return 200 "a"; }
#     --- request
#     GET /a
#     --- error_code: 200
#     --- response_body chomp
#     a
#
# Sections: main_config, post_main_config, http_config, config (where that is
# omitted, all four are those of the block before), user_files, init, request
# (a text, or by eval an array of requests and of packets), raw_request,
# pipelined_requests, more_headers, error_code, error_code_like, response_body,
# response_body_like, response_body_unlike, response_body_filters,
# response_headers, response_headers_like, raw_response_headers_like,
# raw_response_headers_unlike, error_log, no_error_log (lines, or by eval
# patterns), must_die, ignore_response, timeout, wait, log_level, unrecorded
# (not to be held against the API's description), SKIP, ONLY, LAST.  Filters:
# eval, chomp, chop, lines, trim, quotemeta.  $TEST_NGINX_* in configurations
# and requests come from the environment, where TEST_NGINX_SERVER_PORT and
# TEST_NGINX_SERVER_ROOT are set.
#
# Differences: tests run in order; the server's folder is a private one and
# its port a free one, unless TEST_NGINX_SERVROOT and TEST_NGINX_PORT say
# otherwise; nginx is stopped and started for each block.

use strict;
use warnings;
use parent 'Exporter';
use Cwd ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use Test::More ();
use Time::HiRes qw(sleep time);
use AgentsTest::Record;

our @EXPORT = (@Test::More::EXPORT, qw(
    run_tests repeat_each no_shuffle no_long_string no_root_location workers
    worker_connections master_on master_off log_level timeout server_root
    server_port html_dir env_to_nginx add_block_preprocessor blocks bail_out
));

my %set = (repeat_each => 1, workers => 1, worker_connections => 64,
           master => $ENV{TEST_NGINX_MASTER_PROCESS} || 'off', root => 1,
           log_level => $ENV{TEST_NGINX_LOG_LEVEL} || 'debug',
           timeout => $ENV{TEST_NGINX_TIMEOUT} || 3);
my (@preprocessors, @env, @blocks, $read);

my $root = $ENV{TEST_NGINX_SERVROOT}
           || File::Temp::tempdir('agents-t-XXXXXX', TMPDIR => 1);
my $port = $ENV{TEST_NGINX_PORT} || free_port();
my $owner = $$;
$ENV{PATH} .= ':/usr/sbin';     # nginx is where Debian's users do not look
$ENV{TEST_NGINX_SERVER_ROOT} = $root;
$ENV{TEST_NGINX_SERVER_PORT} = $port;

sub import {
    my ($class, @plan) = @_;
    strict->import;
    warnings->import;
    Test::More::plan(@plan == 1 ? ($plan[0]) : @plan) if @plan;
    $class->export_to_level(1, $class);
    return;
}

sub repeat_each {
    $set{repeat_each} = $_[0] if @_;
    return $set{repeat_each};
}

sub workers { $set{workers} = $_[0]; return }
sub worker_connections { $set{worker_connections} = $_[0]; return }
sub master_on { $set{master} = 'on'; return }
sub master_off { $set{master} = 'off'; return }
sub log_level { $set{log_level} = $_[0]; return }
sub timeout { $set{timeout} = $_[0] if @_; return $set{timeout} }
sub no_root_location { $set{root} = 0; return }
sub no_shuffle { return }
sub no_long_string { return }
sub server_root { return $root }
sub server_port { return $port }
sub html_dir { return "$root/html" }
sub env_to_nginx { push @env, @_; return }
sub add_block_preprocessor { push @preprocessors, $_[0]; return }
sub bail_out { Test::More::BAIL_OUT($_[0]); return }


# Below the ports that the system gives to connections: one of those could be
# taken before nginx has bound it.
sub free_port {
    for (1 .. 100) {
        my $port = 10240 + int rand 20000;
        my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Proto => 'tcp', Listen => 1) or next;
        return $port;
    }
    die "no port is free: $!\n";
}


# ---- blocks ----

sub blocks {
    return @blocks if $read++;
    my $text = do { no warnings 'once'; local $/; <main::DATA> };

    for (split /^(?====)/m, defined $text ? $text : '') {
        my ($name) = /^===[ \t]*(.*)$/m or next;
        my $block = bless { name => $name }, 'Test::Nginx::Socket::Block';
        my (undef, @sections) = split /^--- /m;

        for (@sections) {
            my ($head, $body) = split /\n/, $_, 2;
            $body = '' unless defined $body;
            my ($what, $inline) = $head =~ /^([^:]*?)\s*(?::[ \t]*(.*))?$/;
            my ($section, @filters) = split ' ', $what;

            $body =~ s/\n(?:[ \t]*\n)+\z/\n/;
            $body = $inline if defined $inline;
            $block->{$section} = filtered($name, $section, $body, @filters);
        }
        push @blocks, $block;
    }
    return @blocks;
}


sub filtered {
    my ($name, $section, $value, @filters) = @_;

    for (@filters) {
        if ($_ eq 'eval') {
            my $code = $value;
            $value = eval "package main; no strict; no warnings; $code";
            die "$name: --- $section eval: $@" if $@;
        } elsif ($_ eq 'chomp') {
            chomp $value;
        } elsif ($_ eq 'chop') {
            chop $value;
        } elsif ($_ eq 'trim') {
            $value =~ s/^\s+|\s+$//g;
        } elsif ($_ eq 'quotemeta') {
            $value = quotemeta $value;
        } elsif ($_ eq 'lines') {
            $value = [ split /^/, $value ];
        } else {
            die "$name: --- $section: unknown filter $_\n";
        }
    }
    return $value;
}


sub expanded {
    my ($text) = @_;
    return '' unless defined $text;
    $text =~ s{\$(TEST_NGINX_[_A-Z0-9]+)}
              { defined $ENV{$1} ? $ENV{$1}
                                 : die "the environment has no $1\n" }ge;
    return $text;
}


# ---- nginx ----

my %previous;
my $log_at = 0;     # where this test's part of the error log begins

sub write_conf {
    my ($block) = @_;

    for (qw(main_config post_main_config http_config config)) {
        $previous{$_} = $block->{$_} if defined $block->{$_};
        $previous{$_} = '' unless defined $block->{$_}
                                  || (!defined $block->{config}
                                      && defined $previous{$_});
    }
    my %part = map { $_ => expanded($previous{$_}) } keys %previous;
    my $modules = join '', map { "load_module $_;\n" }
                  split ' ', $ENV{TEST_NGINX_LOAD_MODULES} || '';
    my $env = join '', map { "env $_;\n" } @env;
    my $user = $> == 0 ? 'user root;' : '';
    my $level = $block->{log_level} || $set{log_level};
    $level =~ s/\s+//g;
    my $files = $set{root} ? "location / { root $root/html; }" : '';

    File::Path::make_path("$root/conf", "$root/logs", "$root/html");
    open my $out, '>', "$root/conf/nginx.conf" or die "$root: $!\n";
    print $out <<"CONF";
worker_processes $set{workers};
daemon on;
master_process $set{master};
error_log $root/logs/error.log $level;
pid $root/logs/nginx.pid;
$env
$modules
$part{main_config}
http {
    access_log $root/logs/access.log;
    client_body_temp_path $root/client_body_temp;
    proxy_temp_path $root/proxy_temp;
    fastcgi_temp_path $root/fastcgi_temp;
    uwsgi_temp_path $root/uwsgi_temp;
    scgi_temp_path $root/scgi_temp;
    default_type text/plain;
    keepalive_timeout 68;
$part{http_config}
    server {
        listen 127.0.0.1:$port;
        server_name localhost;
        client_max_body_size 30M;
$part{config}
        $files
    }
}
$part{post_main_config}
events { accept_mutex off; worker_connections $set{worker_connections}; }
$user
CONF
    close $out or die "$root: $!\n";

    my $file;
    for (split /^/, $block->{user_files} || '') {
        if (/^>>>\s*(\S+)/) {
            my $path = "$root/html/$1";
            (my $dir = $path) =~ s{/[^/]*$}{};
            File::Path::make_path($dir);
            open $file, '>', $path or die "$path: $!\n";
        } elsif ($file) {
            print $file $_;
        }
    }
    return;
}


sub nginx {
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$root/logs/out";
        open STDERR, '>&', \*STDOUT;
        for (qw(ASAN_OPTIONS UBSAN_OPTIONS)) {
            $ENV{$_} = join ':', $ENV{$_} || (), "log_path=$root/logs/asan";
        }
        exec $ENV{TEST_NGINX_BINARY} || 'nginx', '-p', "$root/", '-e',
             "$root/logs/error.log", '-c', "$root/conf/nginx.conf";
        exit 127;
    }
    waitpid $pid, 0;
    return $?;
}


sub started {
    my ($block) = @_;
    write_conf($block);
    $log_at = -s "$root/logs/error.log" || 0;
    return 0 if nginx() != 0;

    for (1 .. 250) {
        return 1 if -s "$root/logs/nginx.pid"
                    && IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                             PeerPort => $port);
        sleep 0.02;
    }
    return 0;
}


# A process that ended but was not reaped yet (its parent is not this test) is
# as good as gone.
sub alive {
    my ($pid) = @_;
    return kill(0, $pid) && slurp("/proc/$pid/stat") !~ /^\d+ \(.*\) Z /s;
}


sub stopped {
    my $pid = slurp("$root/logs/nginx.pid") =~ /(\d+)/ ? $1 : return;
    kill 'QUIT', $pid;
    for (1 .. 250) {
        return if !alive($pid);
        sleep 0.02;
        kill 'TERM', $pid if $_ == 100;
    }
    kill 'KILL', $pid;
    unlink "$root/logs/nginx.pid";
    return;
}


END {
    if ($owner == $$) {
        local $?;
        stopped();
        File::Path::remove_tree($root)
            unless $ENV{TEST_NGINX_SERVROOT} || $ENV{TEST_NGINX_NO_CLEAN};
    }
}


sub slurp {
    my ($path, $from) = @_;
    open my $in, '<', $path or return '';
    seek $in, $from, 0 if $from;
    local $/;
    my $text = <$in>;
    return defined $text ? $text : '';
}


# ---- requests ----

sub headers_of {
    my ($block, $i) = @_;
    my $more = $block->{more_headers};
    $more = $more->[$i] if ref $more;
    my @lines = grep { !/^\s*(?:#|$)/ } split /\n/,
                defined $more ? $more : '';
    s/\r$// for @lines;
    return @lines;
}


# A request line, then the body: a whole request.
sub framed {
    my ($block, $i, $text, $connection) = @_;
    $text = expanded($text);
    $text =~ s/^\s+//;
    my ($line, $body) = split /\n/, $text, 2;
    my @headers = headers_of($block, $i);
    my $has = sub { my $name = shift; grep { /^$name\s*:/i } @headers };

    $line =~ s/\s+$//;
    $line .= ' /' unless $line =~ / /;
    $line .= ' HTTP/1.1' unless $line =~ m{ HTTP/\d\.\d$};
    $body = '' unless defined $body;

    unshift @headers, "Connection: $connection" unless $has->('Connection');
    unshift @headers, 'Host: localhost' unless $has->('Host');
    if (length $body && !$has->('Content-Length')
        && !grep { /^Transfer-Encoding:\s*chunked/i } @headers)
    {
        $body =~ s/^\s+|\s+$//g;
        push @headers, 'Content-Length: ' . length $body;
    }
    return join("\r\n", $line, @headers, '', '') . $body;
}


# All requests of a block, each a list of packets [text, delay before it], and
# how many responses one connection gives.
sub requests_of {
    my ($block) = @_;

    if (defined(my $raw = $block->{raw_request})) {
        return ([ [ map { [ $_, 0 ] } ref $raw ? @$raw : $raw ] ], 1);
    }
    if (my $pipelined = $block->{pipelined_requests}) {
        my $text = join '', map {
            framed($block, $_, $pipelined->[$_],
                   $_ == $#$pipelined ? 'close' : 'keep-alive')
        } 0 .. $#$pipelined;
        return ([ [ [ $text, 0 ] ] ], scalar @$pipelined);
    }

    my $request = $block->{request};
    my @list;
    my $i = 0;
    for my $one (ref $request ? @$request : $request) {
        my @packets = map { ref $_ ? [ $_->{value}, $_->{delay_before} || 0 ]
                                   : [ $_, 0 ] } ref $one ? @$one : $one;
        my $whole = join '', map { $_->[0] } @packets;
        my $text = framed($block, $i++, $whole, 'close');

        # the first packet takes the headers, the others follow as they are
        my $rest = join '', map { $_->[0] } @packets[1 .. $#packets];
        my $first = substr $text, 0, length($text) - length $rest;
        push @list, [ [ $first, $packets[0][1] ],
                      @packets[1 .. $#packets] ];
    }
    return (\@list, 1);
}


sub exchanged {
    my ($packets, $timeout) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port, Timeout => $timeout) or return '';
    my $text = '';
    local $SIG{PIPE} = 'IGNORE';

    for (@$packets) {
        sleep $_->[1] if $_->[1];
        print {$socket} $_->[0] or last;
        $socket->flush;
    }

    my $end = time + $timeout;
    while ((my $left = $end - time) > 0) {
        my $rin = '';
        vec($rin, fileno $socket, 1) = 1;
        select($rin, undef, undef, $left) > 0 or last;
        sysread($socket, $text, 65536, length $text) or last;
    }
    return $text;
}


# The first response of a text, and what follows it.
sub parsed {
    my ($text, $head) = @_;
    my %r = (code => '', head => '', headers => {}, body => '');

    # interim responses say nothing
    $text =~ s{^HTTP/1\.1 1\d\d .*?\r\n\r\n}{}s;
    return (\%r, '') unless $text =~ m{^HTTP/\d\.\d (\d+)[^\n]*\r?\n}s;
    $r{code} = $1;

    ($r{head}, my $rest) = split /\r\n\r\n/, $text, 2;
    $r{head} .= "\r\n";
    $rest = '' unless defined $rest;
    for ($r{head} =~ /^([^:\r\n]+:[^\r\n]*)/mg) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/;
        push @{$r{headers}{lc $name}}, $value;
    }

    my $length = $r{headers}{'content-length'};
    if ($head || $r{code} =~ /^(?:204|304)$/) {
        return (\%r, $rest);
    }
    if (($r{headers}{'transfer-encoding'} || [''])->[0] eq 'chunked') {
        while ($rest =~ s/^([0-9a-fA-F]+)[^\r\n]*\r\n//) {
            my $size = hex $1;
            $r{body} .= substr $rest, 0, $size, '';
            $rest =~ s/^\r\n//;
            last if $size == 0;
        }
        return (\%r, $rest);
    }
    $r{body} = defined $length ? substr $rest, 0, $length->[0], '' : $rest;
    $rest = '' unless defined $length;
    return (\%r, $rest);
}


# ---- checks ----

sub at_index {
    my ($value, $i, $many) = @_;
    return $many && ref $value eq 'ARRAY' ? $value->[$i]
         : ref $value eq 'ARRAY' ? $value->[0] : $value;
}


sub check_response {
    my ($block, $r, $i, $many) = @_;
    my $name = $block->{name};
    my $get = sub { at_index($block->{$_[0]}, $i, $many) };

    if (defined $block->{error_code_like}) {
        my $re = $get->('error_code_like');
        Test::More::like($r->{code}, qr/$re/sm, "$name - status code ok");
    } else {
        my $code = defined $block->{error_code} ? $get->('error_code') : 200;
        $code =~ s/\s+//g;
        Test::More::is($r->{code}, $code, "$name - status code ok");
    }

    for my $kind ('', 'un') {
        my $re = $get->("raw_response_headers_${kind}like");
        next unless defined $re;
        Test::More->can($kind . 'like')->($r->{head}, qr/$re/s,
                                          "$name - raw headers ${kind}like");
    }
    check_headers($block, $r, $get);
    check_body($block, $r, $get);
    return;
}


sub check_headers {
    my ($block, $r, $get) = @_;
    my $name = $block->{name};

    for my $section (qw(response_headers response_headers_like)) {
        my $lines = $get->($section);
        next unless defined $lines;

        for (grep { /\S/ } split /\n/, $lines) {
            my ($absent, $header, $expected) =
                /^\s*(!\s*)?([^:\s]+)\s*:?\s*(.*?)\s*$/;
            my $values = $r->{headers}{lc $header};
            my $value = join ', ', @{$values || []};

            if ($absent) {
                Test::More::ok(!$values, "$name - header $header is absent");
            } elsif ($section eq 'response_headers') {
                Test::More::is($value, $expected, "$name - header $header ok");
            } else {
                Test::More::like($value, qr/^$expected$/,
                                 "$name - header $header like");
            }
        }
    }
    return;
}


sub check_body {
    my ($block, $r, $get) = @_;
    my $name = $block->{name};
    my $body = $r->{body};

    if (my $filters = $block->{response_body_filters}) {
        for (ref $filters eq 'ARRAY' ? @$filters : $filters) {
            $body = ref $_ ? $_->($body) : /lc/ ? lc $body : /uc/ ? uc $body
                  : /length/ ? length $body : $body;
        }
    }
    if (defined $block->{response_body}) {
        my $expected = expanded($get->('response_body'));
        Test::More::is($body, $expected, "$name - response_body");
    }
    if (defined(my $re = $get->('response_body_like'))) {
        chomp $re unless ref $re;
        Test::More::like($body, qr/$re/sm, "$name - response_body_like");
    }
    if (defined(my $re = $get->('response_body_unlike'))) {
        chomp $re unless ref $re;
        Test::More::unlike($body, qr/$re/sm, "$name - response_body_unlike");
    }
    return;
}


sub patterns {
    my ($value) = @_;
    return () unless defined $value;
    return ref $value eq 'ARRAY' ? @$value : ref $value ? $value
         : grep { /\S/ } map { s/^\s+|\s+$//gr } split /\n/, $value;
}


sub check_log {
    my ($block) = @_;
    my $name = $block->{name};
    my $has = sub {
        my ($pattern) = @_;
        my $re = ref $pattern ? $pattern : qr/\Q$pattern\E/;
        return scalar grep { /$re/ }
               split /\n/, slurp("$root/logs/error.log", $log_at);
    };

    for my $pattern (patterns($block->{error_log})) {
        my $end = time + 2;
        sleep 0.02 until $has->($pattern) || time > $end;
        Test::More::ok($has->($pattern), "$name - the log has: $pattern");
    }
    for my $pattern (patterns($block->{no_error_log})) {
        Test::More::ok(!$has->($pattern), "$name - the log has not: $pattern");
    }
    return;
}


# ---- the run ----

sub run_tests {
    my @all = blocks();
    my @only = grep { exists $_->{ONLY} } @all;
    @all = @only if @only;

    for my $block (@all) {
        if (exists $block->{SKIP}) {
            Test::More::pass("$block->{name} # SKIP");
            next;
        }
        $_->($block) for @preprocessors;
        run_block($block);
        last if exists $block->{LAST};
    }
    return;
}


sub run_block {
    my ($block) = @_;
    my $name = $block->{name};

    if (defined $block->{init}) {
        eval "package main; $block->{init}";
        die "$name: --- init: $@" if $@;
    }

    if (exists $block->{must_die}) {
        Test::More::ok(!started($block), "$name - nginx refuses to start");
        stopped();
        return check_log($block);
    }
    if (!started($block)) {
        Test::More::fail("$name - nginx starts");
        Test::More::diag(slurp("$root/logs/out"));
        return stopped();
    }

    for (1 .. $set{repeat_each}) {
        requested($block);
    }
    check_log($block);
    stopped();
    sanitized($name);
    return;
}


# A sanitizer's report is a failure of the test that it came in.
sub sanitized {
    my ($name) = @_;
    for (glob "$root/logs/asan.*") {
        Test::More::fail("$name - no report of a sanitizer");
        Test::More::diag(slurp($_));
        unlink;
    }
    return;
}


sub requested {
    my ($block) = @_;
    my ($list, $responses) = requests_of($block);
    my $timeout = $block->{timeout} || $set{timeout};
    $timeout =~ s/^\s*([\d.]+)(m?)s?\s*$/$2 ? $1 \/ 1000 : $1/e;
    my $many = @$list > 1 || $responses > 1;
    my $i = 0;

    for my $packets (@$list) {
        my $text = exchanged($packets, $timeout);
        next if exists $block->{ignore_response};
        my $head = $packets->[0][0] =~ /^HEAD /;

        for (1 .. $responses) {
            (my $r, $text) = parsed($text, $head);
            recorded($packets, $r)
                if $responses == 1 && !exists $block->{unrecorded};
            check_response($block, $r, $i++, $many);
        }
    }
    sleep $block->{wait} if $block->{wait};
    return;
}


# For the test of what the API's description says.
sub recorded {
    my ($packets, $r) = @_;
    my $bytes = join '', map { $_->[0] } @$packets;
    my ($head, $body) = split /\r\n\r\n/, $bytes, 2;
    my ($line, @lines) = split /\r\n/, $head;
    my ($method, $path) = $line =~ m{^([A-Z]+) (\S+) HTTP/1\.\d$} or return;
    my %headers = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } @lines;

    undef $body if $headers{'transfer-encoding'}
                   || !defined $headers{'content-length'};
    AgentsTest::Record::exchange($method, $path, \%headers, $body,
        { status => $r->{code}, headers => $r->{headers},
          content => $r->{body} });
    return;
}


package Test::Nginx::Socket::Block;

our $AUTOLOAD;

# block preprocessors read sections as methods, and set them
sub set_value {
    my ($self, $section, $value) = @_;
    $self->{$section} = $value;
    return;
}

sub AUTOLOAD {
    my ($self) = @_;
    (my $section = $AUTOLOAD) =~ s/.*:://;
    return if $section eq 'DESTROY';
    return $self->{$section};
}


1;
