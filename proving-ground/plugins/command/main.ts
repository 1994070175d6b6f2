// The executable of the stand-in for the official plugin `command`.

import { serve } from "../provider/server.ts";
import { command } from "./plugin.ts";

await serve(command, process.argv.slice(2));
