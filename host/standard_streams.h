// Standard input, output and error as a command line tool needs them: nothing gets lost silently,
// and nothing lands in a file that it is not for.
#pragma once

namespace pendula {

// A file opened later would get the number of a closed stream, and what is meant for the stream
// would be written into it. Takes the numbers; writing to a stdout that was closed then fails.
void occupy_closed_streams();

// Warnings of the library go to stderr, as all narration does.
void warn_on_stderr();

// Throws Error(kFiles) where not all of the results reached standard output.
void finish_output();

}  // namespace pendula
