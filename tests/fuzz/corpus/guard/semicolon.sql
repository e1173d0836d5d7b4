SEL$dollar 'uqoted'; --$$, $tag$ $$ $tag$, 'a' || 'b', ''
