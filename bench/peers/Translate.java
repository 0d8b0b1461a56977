import java.nio.file.Files;
import java.nio.file.Path;
import org.cqframework.cql.cql2elm.CqlCompilerException;
import org.cqframework.cql.cql2elm.CqlCompilerOptions;
import org.cqframework.cql.cql2elm.CqlTranslator;
import org.cqframework.cql.cql2elm.DefaultLibrarySourceProvider;
import org.cqframework.cql.cql2elm.LibraryManager;
import org.cqframework.cql.cql2elm.ModelManager;
import org.cqframework.cql.cql2elm.quick.FhirLibrarySourceProvider;

/** Translates Trials.cql and what it includes into ELM, one JSON file for each library: Translate FOLDER OUTPUT. */
class Translate {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        Path output = Path.of(arguments[1]);
        CqlCompilerOptions options = new CqlCompilerOptions(
                CqlCompilerOptions.Options.DisableListDemotion, CqlCompilerOptions.Options.DisableListPromotion);
        LibraryManager libraries = new LibraryManager(new ModelManager(), options);
        libraries.getLibrarySourceLoader().registerProvider(new DefaultLibrarySourceProvider(folder));
        libraries.getLibrarySourceLoader().registerProvider(new FhirLibrarySourceProvider());
        CqlTranslator translator = CqlTranslator.fromFile(folder.resolve("Trials.cql").toFile(), libraries);
        for (CqlCompilerException problem : translator.getExceptions()) {
            System.err.println((problem.getLocator() == null ? "" : problem.getLocator().toLocator()) + ": " + problem.getSeverity() + ": " + problem.getMessage());
        }
        if (!translator.getErrors().isEmpty()) System.exit(1);
        Files.writeString(output.resolve("Trials.json"), translator.toJson());
        for (var library : translator.getLibraries().entrySet()) {
            Files.writeString(output.resolve(library.getKey().getId() + ".json"),
                    CqlTranslator.convertToJson(library.getValue()));
        }
    }
}
