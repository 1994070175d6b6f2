// The executable of the stand-in for the official plugin `github`.

import { serve } from "../provider/server.ts";
import { github } from "./plugin.ts";

await serve(github(), process.argv.slice(2));
