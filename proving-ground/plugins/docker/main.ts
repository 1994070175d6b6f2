// The executable of the stand-in for the official plugin `docker`.

import { serve } from "../provider/server.ts";
import { docker } from "./plugin.ts";

await serve(docker(), process.argv.slice(2));
