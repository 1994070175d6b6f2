// The executable of the stand-in for the official plugin `tls`.

import { serve } from "../provider/server.ts";
import { tls } from "./plugin.ts";

await serve(tls(), process.argv.slice(2));
