-- Whose turn it is depends on the role, too: whoever looks for the PM's tasks passed all others, and
-- whoever waits sorted all that was open. The expression is written in queries as it is here.

DROP INDEX task_ready;

CREATE INDEX task_ready ON task ((issue IS NULL), priority DESC, seq, due_boot, due_tick, due_wall)
    WHERE head = 1;
CREATE INDEX task_next ON task ((issue IS NULL), due_boot, due_tick, due_wall) WHERE head = 1;
