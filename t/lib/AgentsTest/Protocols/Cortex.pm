package AgentsTest::Protocols::Cortex;

# Snowflake Cortex: the Messages API for Claude, chat completions for others,
# under paths of its own and with errors of its own.

use strict;
use warnings;
use AgentsTest::Protocols::Anthropic;
use AgentsTest::Protocols::Openai;

our $API = '/api/v2/cortex/v1';

sub error {
    my ($self, $type, $message) = @_;
    return (json => { message => $message, code => $type,
                      request_id => 'req-test' });
}

sub protocol { return 'cortex' }
sub endpoint { return '' }

sub key {
    my ($self, $req) = @_;
    return 'no bearer'
        unless ($req->{headers}{authorization} || '') =~ /^Bearer \S+\z/;
    return 'no type of token'
        unless $req->{headers}{'x-snowflake-authorization-token-type'};
    return;
}


package AgentsTest::Protocols::Cortex::Claude;

our @ISA = qw(AgentsTest::Protocols::Cortex AgentsTest::Protocols::Anthropic);

sub name { return 'cortex-claude' }
sub path { return "$API/messages" }
sub model { return 'claude-scripted' }
sub owns { return $_[1] eq path() }


package AgentsTest::Protocols::Cortex::Other;

our @ISA = qw(AgentsTest::Protocols::Cortex AgentsTest::Protocols::Openai);

sub name { return 'cortex-other' }
sub path { return "$API/chat/completions" }
sub model { return 'llama-scripted' }
sub owns { return $_[1] eq path() }


1;
